import { useTranslation } from 'react-i18next';
import { Link, useParams } from 'react-router';
import { useSetup } from '@/session/session';
import { Loading, PageHeader, ProblemNote } from '@/shared';
import { useComponent } from './component';
import { ReleaseList } from './ReleaseList';
import { ReleaseRun } from './ReleaseRun';
import './style.css';

/** The automatic test before publication (全网发布): against the simulator, and a check list for the real one. */
export default function Release() {
  const { t } = useTranslation('components');
  const { appid = '' } = useParams();
  const simulator = useSetup().data?.simulator ?? false;
  const read = useComponent(appid);
  return (
    <div className="stack components-page">
      <PageHeader title={t('release.title')} note={<Link to={`/components/${appid}`}>{t('backTo', { appid })}</Link>} />
      <p>{t('release.intro')}</p>
      <ProblemNote error={read.error} retry={() => void read.refetch()} />
      {!read.data && !read.error && <Loading />}
      {read.data && (
        <>
          {simulator && <ReleaseRun appid={appid} />}
          <ReleaseList of={read.data} />
        </>
      )}
    </div>
  );
}
