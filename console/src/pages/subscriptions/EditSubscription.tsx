import { Button } from 'tdesign-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate, useParams } from 'react-router';
import { call, etagOf, Problem, useApiMutation } from '@/api/client';
import { Loading, notify, PageHeader, ProblemNote, useOperations } from '@/shared';
import { SigningSecretDialog } from './SigningSecret';
import type { Subscription } from './subscription';
import { SubscriptionForm } from './SubscriptionForm';
import './style.css';

export default function EditSubscription() {
  const { t } = useTranslation('subscriptions');
  const { reason } = useOperations();
  const { id = '' } = useParams();
  const navigate = useNavigate();
  const [secret, setSecret] = useState<string>();
  const [outdated, setOutdated] = useState(false);
  // The form begins with what is read once, and is sent back for that very version.
  const read = useQuery<Subscription, Problem>({
    queryKey: ['subscription to change', id],
    queryFn: async ({ signal }) => (await call('get', '/v1/subscriptions/{id}', { params: { path: { id } }, signal })) as Subscription,
    staleTime: Infinity,
    gcTime: 0,
  });
  const change = useApiMutation('patch', '/v1/subscriptions/{id}', { invalidates: ['/v1/subscriptions', '/v1/subscriptions/{id}'] });
  const missing = reason('subscriptions:write');
  const open = () => {
    change.reset();
    void navigate(`/subscriptions/${id}`, { replace: true });
  };
  return (
    <>
      <PageHeader title={read.data ? t('editOf', { name: read.data.name }) : t('edit')} note={missing} />
      <ProblemNote error={read.error} retry={() => void read.refetch()} />
      {!read.data && !read.error && <Loading />}
      {outdated && (
        <p className="row">
          <span>{t('outdated')}</span>
          <Button
            size="small"
            variant="outline"
            onClick={() => {
              setOutdated(false);
              void read.refetch();
            }}
          >
            {t('reload')}
          </Button>
        </p>
      )}
      {read.data && !missing && (
        <SubscriptionForm
          before={read.data}
          action={t('saveAction')}
          onCancel={open}
          onSubmit={async (body) => {
            try {
              const etag = etagOf(read.data);
              const changed = await change.mutateAsync({ params: { path: { id } }, body, ...(etag ? { headers: { 'If-Match': etag } } : {}) });
              notify('success', t('saved'));
              if (changed.signing_secret) setSecret(changed.signing_secret);
              else open();
            } catch (error) {
              setOutdated(error instanceof Problem && error.name === 'precondition-failed');
              throw error;
            }
          }}
        />
      )}
      {secret && <SigningSecretDialog secret={secret} onClose={open} />}
    </>
  );
}
