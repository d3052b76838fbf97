import './style.css';
import { lazy, Suspense } from 'react';
import { useTranslation } from 'react-i18next';
import { useApiQuery, type Reply } from '@/api/client';
import { Loading, PageHeader, ProblemNote, Time } from '@/shared';
import { Alerts } from './Alerts';
import { ComponentList } from './ComponentList';
import { Tiles } from './Tiles';
import { Verdict } from './Verdict';

const Charts = lazy(() => import('./Charts'));

export type OverviewData = Reply<'get', '/v1/overview'>;

/** Whether authorizations are safe, what needs somebody, and how everything runs. */
export default function Overview() {
  const { t } = useTranslation('overview');
  const read = useApiQuery('/v1/overview', undefined, { refetchInterval: 5_000 });
  const data = read.data;
  return (
    <div className="stack overview">
      <PageHeader
        title={t('title')}
        note={
          data && (
            <>
              {t('replicas', { count: data.replicas })} · {t('answeredBy', { replica: data.replica })} · {t('countingSince')}{' '}
              <Time at={data.since} />
            </>
          )
        }
      />
      <ProblemNote error={read.error} retry={() => void read.refetch()} />
      {!data && !read.error && <Loading />}
      {data && (
        <>
          <Verdict overview={data} stale={read.error !== null} />
          <Alerts alerts={data.alerts} />
          <Tiles overview={data} />
          <Suspense fallback={<Loading />}>
            <Charts />
          </Suspense>
          <ComponentList overview={data} />
        </>
      )}
    </div>
  );
}
