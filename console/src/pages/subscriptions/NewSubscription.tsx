import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';
import { useApiMutation } from '@/api/client';
import { notify, PageHeader, useOperations } from '@/shared';
import { SigningSecretDialog } from './SigningSecret';
import { SubscriptionForm } from './SubscriptionForm';
import './style.css';

export default function NewSubscription() {
  const { t } = useTranslation('subscriptions');
  const { reason } = useOperations();
  const navigate = useNavigate();
  const [made, setMade] = useState<{ id: string; secret: string }>();
  const create = useApiMutation('post', '/v1/subscriptions', { invalidates: ['/v1/subscriptions'] });
  const missing = reason('subscriptions:write');
  const open = (id: string) => {
    create.reset(); // its reply holds the secret
    void navigate(`/subscriptions/${id}`, { replace: true });
  };
  return (
    <>
      <PageHeader title={t('create')} note={missing ?? t('createNote')} />
      {!missing && (
        <SubscriptionForm
          action={t('createAction')}
          onCancel={() => void navigate('/subscriptions')}
          onSubmit={async (body) => {
            const subscription = await create.mutateAsync({ body });
            notify('success', t('created', { name: subscription.name }));
            if (subscription.signing_secret) setMade({ id: subscription.id, secret: subscription.signing_secret });
            else open(subscription.id);
          }}
        />
      )}
      {made && <SigningSecretDialog secret={made.secret} onClose={() => open(made.id)} />}
    </>
  );
}
