import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate, useParams } from 'react-router';
import { call, etagOf, useApiMutation, type Problem } from '@/api/client';
import { Loading, notify, PageHeader, ProblemNote } from '@/shared';
import { bodyOf, formOf, type APIKey } from './keyForm';
import { KeyFields } from './KeyFields';
import './style.css';

export default function EditKey() {
  const { t } = useTranslation('access');
  const { t: ts } = useTranslation('shared');
  const { id = '' } = useParams();
  const navigate = useNavigate();
  // The form begins with what is read once, and is sent back for that very version.
  const read = useQuery<APIKey, Problem>({
    queryKey: ['key to change', id],
    queryFn: ({ signal }) => call('get', '/v1/api-keys/{id}', { params: { path: { id } }, signal }),
    staleTime: Infinity,
    gcTime: 0,
  });
  const change = useApiMutation('patch', '/v1/api-keys/{id}', { invalidates: ['/v1/api-keys', '/v1/api-keys/{id}'] });
  const key = read.data;
  return (
    <>
      <PageHeader title={t('key.edit', { name: key?.name ?? '' })} note={<Link to={`/access/keys/${id}`}>{t('key.backToKey')}</Link>} />
      <ProblemNote error={read.error} retry={() => void read.refetch()} />
      {!key && !read.error && <Loading />}
      {key && (
        <KeyFields
          draft={`key.${id}`}
          initial={formOf(key)}
          action={ts('save')}
          onSubmit={async (values) => {
            const etag = etagOf(key);
            await change.mutateAsync({ params: { path: { id } }, body: bodyOf(values), ...(etag ? { headers: { 'If-Match': etag } } : {}) });
            notify('success', t('changed', { name: values.name }));
            void navigate(`/access/keys/${id}`, { replace: true });
          }}
        />
      )}
    </>
  );
}
