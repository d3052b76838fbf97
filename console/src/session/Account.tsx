import { Button } from 'tdesign-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { call, invalidate, useApiQuery, type Schema } from '@/api/client';
import { ConfirmDialog, DataTable, Dialog, Field, FormErrors, notify, PageHeader, StateTag, Time, useForm } from '@/shared';
import { PasswordForm } from './PasswordForm';
import { keepSession, signOut, useSession, type Session } from './session';
import { TOTPForm } from './TOTPForm';

/** The operator's own account: who they are, how they sign in, and where they are signed in. */
export default function Account() {
  const { t } = useTranslation('session');
  const { user } = useSession();
  return (
    <div className="stack">
      <PageHeader title={t('account.title')}>
        <Button theme="default" variant="outline" onClick={() => void signOut()}>
          {t('account.signOut')}
        </Button>
      </PageHeader>
      <section className="panel">
        <h2>{user.full_name || user.name}</h2>
        <dl>
          <div>
            <dt>{t('name')}</dt>
            <dd>{user.name}</dd>
          </div>
          <div>
            <dt>{t('account.role')}</dt>
            <dd>{t(`role.${user.role}`)}</dd>
          </div>
        </dl>
      </section>
      {user.password && <Password />}
      {user.password && <SecondFactor />}
      <Sessions />
    </div>
  );
}

function Password() {
  const { t } = useTranslation('session');
  const [open, setOpen] = useState(false);
  return (
    <section className="panel">
      <h2>{t('password')}</h2>
      <p>{t('account.passwordNote')}</p>
      <Button variant="outline" onClick={() => setOpen(true)}>
        {t('passwordChange')}
      </Button>
      {open && (
        <Dialog title={t('passwordChange')} onClose={() => setOpen(false)}>
          <PasswordForm
            onDone={(session) => {
              setOpen(false);
              keepSession(session);
              notify('success', t('account.passwordChanged'));
              void invalidate('/v1/users/{id}/sessions');
            }}
          />
        </Dialog>
      )}
    </section>
  );
}

function SecondFactor() {
  const { t } = useTranslation('session');
  const { user } = useSession();
  const [open, setOpen] = useState(false);
  const done = (session: Session) => {
    setOpen(false);
    keepSession(session);
  };
  return (
    <section className="panel">
      <h2>{t('account.totp')}</h2>
      <p className="row">
        <StateTag state={user.totp ? 'enabled' : 'disabled'} label={t(user.totp ? 'account.totpOn' : 'account.totpOff')} />
      </p>
      <Button variant="outline" theme={user.totp ? 'danger' : 'primary'} onClick={() => setOpen(true)}>
        {t(user.totp ? 'account.totpRemove' : 'totpConfirm')}
      </Button>
      {open && (
        <Dialog title={t(user.totp ? 'account.totpRemove' : 'totpConfirm')} onClose={() => setOpen(false)}>
          {user.totp ? <RemoveTOTP onDone={done} /> : <TOTPForm onDone={done} />}
        </Dialog>
      )}
    </section>
  );
}

function RemoveTOTP({ onDone }: { onDone: (session: Session) => void }) {
  const { t } = useTranslation('session');
  const form = useForm({
    initial: { password: '' },
    check: ({ password }) => ({ password: password ? '' : t('passwordNeeded') }),
    submit: async ({ password }) => onDone(await call('delete', '/v1/session/totp', { body: { password } })),
  });
  return (
    <form className="form" onSubmit={form.submit} noValidate>
      <p>{t('account.totpRemoveNote')}</p>
      <Field form={form} name="password" label={t('passwordCurrent')} type="password" autocomplete="current-password" />
      <FormErrors form={form} />
      <Button type="submit" theme="danger" loading={form.busy}>
        {t('account.totpRemove')}
      </Button>
    </form>
  );
}

function Sessions() {
  const { t } = useTranslation('session');
  const { user } = useSession();
  const sessions = useApiQuery('/v1/users/{id}/sessions', { path: { id: user.id } });
  const [ending, setEnding] = useState<Schema<'UserSession'>>();
  return (
    <section className="panel">
      <h2>{t('account.sessions')}</h2>
      <DataTable
        label={t('account.sessions')}
        rows={sessions.data?.items}
        error={sessions.error}
        retry={() => void sessions.refetch()}
        rowKey={(session) => session.id}
        columns={[
          {
            key: 'agent',
            title: t('account.browser'),
            render: (session) => (
              <span className="row">
                {browser(session.agent)}
                {session.current && <StateTag state="ok" label={t('account.current')} />}
              </span>
            ),
          },
          { key: 'address', title: t('account.address'), render: (session) => <code>{session.address}</code> },
          { key: 'created', title: t('account.since'), render: (session) => <Time at={session.created_at} /> },
          { key: 'seen', title: t('account.seen'), render: (session) => <Time at={session.last_seen_at} /> },
          {
            key: 'end',
            title: '',
            render: (session) =>
              !session.current && (
                <Button size="small" theme="danger" variant="outline" onClick={() => setEnding(session)}>
                  {t('account.end')}
                </Button>
              ),
          },
        ]}
      />
      {ending && (
        <ConfirmDialog
          title={t('account.endTitle')}
          danger
          action={t('account.end')}
          onClose={() => setEnding(undefined)}
          onConfirm={async () => {
            await call('delete', '/v1/users/{id}/sessions/{session}', { params: { path: { id: user.id, session: ending.id } } });
            await invalidate('/v1/users/{id}/sessions');
          }}
        >
          <p>{t('account.endNote', { browser: browser(ending.agent), address: ending.address })}</p>
        </ConfirmDialog>
      )}
    </section>
  );
}

/** The name of a browser and its system, as far as its User-Agent tells. */
function browser(agent: string): string {
  const name = /(MicroMessenger|Edg|Firefox|Chrome|Safari)\/[\d.]+/.exec(agent)?.[1];
  const system = /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/.exec(agent)?.[1];
  return [name, system].filter(Boolean).join(' · ') || agent || '—';
}
