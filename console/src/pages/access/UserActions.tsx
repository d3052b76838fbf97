import { Button } from 'tdesign-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';
import { useApiMutation } from '@/api/client';
import { useSession } from '@/session/session';
import { ConfirmDialog, notify } from '@/shared';
import { EditUser } from './EditUser';
import { InitialPassword } from './InitialPassword';
import { useRefusal, type User } from './user';

type Action = 'edit' | 'disable' | 'password' | 'totp' | 'delete';

const invalidates = ['/v1/users', '/v1/users/{id}', '/v1/users/{id}/sessions'];

/** What can be done to a user; what matters is asked for first. */
export function UserActions({ user }: { user: User }) {
  const { t } = useTranslation('access');
  const { t: ts } = useTranslation('shared');
  const navigate = useNavigate();
  const me = useSession().user.id === user.id;
  const why = useRefusal()(user.role);
  const [open, setOpen] = useState<Action>();
  const [password, setPassword] = useState<string>();
  const change = useApiMutation('patch', '/v1/users/{id}', { invalidates });
  const reset = useApiMutation('post', '/v1/users/{id}/password', { invalidates });
  const removeTOTP = useApiMutation('delete', '/v1/users/{id}/totp', { invalidates });
  const remove = useApiMutation('delete', '/v1/users/{id}', { invalidates: ['/v1/users'], onSuccess: () => void navigate('/access', { replace: true }) });
  const params = { path: { id: user.id } };
  const setDisabled = (disabled: boolean) => change.mutateAsync({ params, body: { disabled } });
  const close = () => setOpen(undefined);
  const button = (action: Action, label: string, theme: 'default' | 'danger', refused: string | undefined) => (
    <Button tag="button" variant="outline" theme={theme} disabled={refused !== undefined} {...(refused ? { title: refused } : {})} onClick={() => setOpen(action)}>
      {label}
    </Button>
  );
  const own = me ? t('user.notYourself') : undefined;
  return (
    <>
      {button('edit', ts('edit'), 'default', why)}
      {user.disabled ? (
        <Button tag="button"
          variant="outline"
          theme="default"
          disabled={why !== undefined}
          {...(why ? { title: why } : {})}
          loading={change.isPending}
          onClick={() => void setDisabled(false).then(() => notify('success', t('user.enabled', { name: user.name })), notify)}
        >
          {t('user.enable')}
        </Button>
      ) : (
        button('disable', t('user.disable'), 'default', why ?? own)
      )}
      {button('password', t('user.resetPassword'), 'default', why ?? own)}
      {button('totp', t('user.resetTotp'), 'default', why ?? own ?? (user.totp ? undefined : t('user.noTotp')))}
      {button('delete', ts('delete'), 'danger', why ?? own)}
      {open === 'edit' && <EditUser user={user} onClose={close} />}
      {open === 'disable' && (
        <ConfirmDialog title={t('user.disableOf', { name: user.name })} action={t('user.disable')} danger onConfirm={() => setDisabled(true)} onClose={close}>
          <p>{t('user.disableExplain')}</p>
          {user.role === 'owner' && <p className="access-warn">{t('user.lastOwner')}</p>}
        </ConfirmDialog>
      )}
      {open === 'password' && (
        <ConfirmDialog
          title={t('user.resetPasswordOf', { name: user.name })}
          action={t('user.resetPassword')}
          danger
          onConfirm={async () => {
            setPassword((await reset.mutateAsync({ params })).initial_password);
            reset.reset(); // its reply holds the password
          }}
          onClose={close}
        >
          <p>{t('user.resetPasswordExplain')}</p>
        </ConfirmDialog>
      )}
      {open === 'totp' && (
        <ConfirmDialog
          title={t('user.resetTotpOf', { name: user.name })}
          action={t('user.resetTotp')}
          danger
          onConfirm={() => removeTOTP.mutateAsync({ params })}
          onClose={close}
        >
          <p>{t('user.resetTotpExplain')}</p>
        </ConfirmDialog>
      )}
      {open === 'delete' && (
        <ConfirmDialog title={t('user.deleteOf', { name: user.name })} word={user.name} action={ts('delete')} onConfirm={() => remove.mutateAsync({ params })} onClose={close}>
          <p>{t('user.deleteExplain')}</p>
          {user.role === 'owner' && <p className="access-warn">{t('user.lastOwner')}</p>}
        </ConfirmDialog>
      )}
      {password !== undefined && <InitialPassword name={user.name} password={password} onClose={() => setPassword(undefined)} />}
    </>
  );
}
