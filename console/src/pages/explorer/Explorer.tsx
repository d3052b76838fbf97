import { useTranslation } from 'react-i18next';
import { Link, useParams, useSearchParams } from 'react-router';
import { useApiQuery } from '@/api/client';
import { Loading, PageHeader, ProblemNote, useFilters, useNarrow } from '@/shared';
import { Catalogue } from './Catalogue';
import { EndpointView } from './EndpointView';
import './style.css';

/** Any endpoint of WeChat's, called from a form. */
export default function Explorer() {
  const { t } = useTranslation('explorer');
  const { endpoint = '' } = useParams();
  const narrow = useNarrow();
  const filters = useFilters('q');
  const [search] = useSearchParams();
  const catalogue = useApiQuery('/v1/catalogue');
  const withList = !narrow || !endpoint;
  return (
    <>
      {!endpoint && <PageHeader title={t('title')} note={t('note')} />}
      {narrow && endpoint && (
        <p>
          <Link to={{ pathname: '/explorer', search: String(search) }}>{t('back')}</Link>
        </p>
      )}
      <ProblemNote error={catalogue.error} retry={() => void catalogue.refetch()} />
      <div className="explorer">
        {withList &&
          (catalogue.data ? (
            <Catalogue endpoints={catalogue.data.items} chosen={endpoint} filters={filters} search={String(search)} />
          ) : (
            !catalogue.error && <Loading />
          ))}
        {endpoint && <EndpointView key={endpoint} id={endpoint} />}
        {!endpoint && !narrow && <p className="empty">{t('choose')}</p>}
      </div>
    </>
  );
}
