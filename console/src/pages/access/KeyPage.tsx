import { Button } from 'tdesign-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate, useParams } from 'react-router';
import { useApiMutation, useApiQuery, type Schema } from '@/api/client';
import { ConfirmDialog, Loading, PageHeader, ProblemNote, useNow, useOperations } from '@/shared';
import { stateOf } from './keyForm';
import { KeyFacts } from './KeyFacts';
import { KeyState } from './KeyState';
import { RotateKey } from './RotateKey';
import { ShownKey } from './ShownKey';
import './style.css';

export default function KeyPage() {
  const { t } = useTranslation('access');
  const { t: ts } = useTranslation('shared');
  const { id = '' } = useParams();
  const navigate = useNavigate();
  const { reason } = useOperations();
  const now = useNow();
  const [open, setOpen] = useState<'rotate' | 'revoke'>();
  const [made, setMade] = useState<Schema<'NewAPIKey'>>();
  const read = useApiQuery('/v1/api-keys/{id}', { path: { id } }, { refetchInterval: 5_000 });
  const revoke = useApiMutation('post', '/v1/api-keys/{id}/revoke', { invalidates: ['/v1/api-keys', '/v1/api-keys/{id}'] });
  const key = read.data;
  const close = () => setOpen(undefined);
  const why = reason('keys:write') ?? (key && stateOf(key, now) === 'revoked' ? t('key.isRevoked') : undefined);
  const refused = { disabled: why !== undefined, ...(why ? { title: why } : {}) };
  return (
    <div className="stack access-page">
      <PageHeader
        title={key?.name ?? t('tabs.keys')}
        note={
          <>
            <Link to="/access/keys">{t('key.back')}</Link> {key && <KeyState of={key} />}
          </>
        }
      >
        {key && (
          <>
            <Button variant="outline" theme="default" {...refused} onClick={() => void navigate(`/access/keys/${id}/edit`)}>
              {ts('edit')}
            </Button>
            <Button variant="outline" theme="default" {...refused} onClick={() => setOpen('rotate')}>
              {t('key.rotate')}
            </Button>
            <Button variant="outline" theme="danger" {...refused} onClick={() => setOpen('revoke')}>
              {t('key.revoke')}
            </Button>
          </>
        )}
      </PageHeader>
      <ProblemNote error={read.error} retry={() => void read.refetch()} />
      {!key && !read.error && <Loading />}
      {key && <KeyFacts of={key} />}
      {key && open === 'rotate' && (
        <RotateKey
          of={key}
          onClose={close}
          onRotated={(rotated) => {
            close();
            setMade(rotated);
          }}
        />
      )}
      {key && open === 'revoke' && (
        <ConfirmDialog title={t('key.revokeOf', { name: key.name })} word={key.name} action={t('key.revoke')} onConfirm={() => revoke.mutateAsync({ params: { path: { id } } })} onClose={close}>
          <p>{t('key.revokeExplain')}</p>
        </ConfirmDialog>
      )}
      {made && <ShownKey made={made} onClose={() => setMade(undefined)} />}
    </div>
  );
}
