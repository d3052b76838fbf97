import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate } from 'react-router';
import { useApiMutation, type Schema } from '@/api/client';
import { PageHeader } from '@/shared';
import { bodyOf, emptyKey } from './keyForm';
import { KeyFields } from './KeyFields';
import { ShownKey } from './ShownKey';
import './style.css';

export default function NewKey() {
  const { t } = useTranslation('access');
  const navigate = useNavigate();
  const [made, setMade] = useState<Schema<'NewAPIKey'>>();
  const create = useApiMutation('post', '/v1/api-keys', { invalidates: ['/v1/api-keys'] });
  return (
    <>
      <PageHeader title={t('key.create')} note={<Link to="/access/keys">{t('key.back')}</Link>} />
      <KeyFields
        draft="key"
        initial={emptyKey}
        action={t('key.create')}
        onSubmit={async (values) => {
          setMade(await create.mutateAsync({ body: bodyOf(values) }));
          create.reset(); // its reply holds the key
        }}
      />
      {made && <ShownKey made={made} onClose={() => void navigate(`/access/keys/${made.id}`, { replace: true })} />}
    </>
  );
}
