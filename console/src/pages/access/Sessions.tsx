import { Button } from 'tdesign-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useApiMutation, useApiQuery } from '@/api/client';
import { ConfirmDialog, DataTable, notify, StateTag, Time } from '@/shared';
import { useRefusal, type User } from './user';

const invalidates = ['/v1/users/{id}', '/v1/users/{id}/sessions'];

/** Where a user is signed in. */
export function Sessions({ user }: { user: User }) {
  const { t } = useTranslation('access');
  const [asking, setAsking] = useState(false);
  const why = useRefusal()(user.role);
  const path = { id: user.id };
  const read = useApiQuery('/v1/users/{id}/sessions', { path }, { refetchInterval: 5_000 });
  const end = useApiMutation('delete', '/v1/users/{id}/sessions/{session}', { invalidates });
  const endAll = useApiMutation('delete', '/v1/users/{id}/sessions', { invalidates });
  const none = (read.data?.items.length ?? 0) === 0;
  const refused = why ?? (none ? t('sessions.none') : undefined);
  return (
    <section className="panel" aria-labelledby="sessions">
      <div className="access-heading">
        <h2 id="sessions">{t('sessions.title')}</h2>
        <Button tag="button" size="small" variant="outline" theme="danger" disabled={!!refused} {...(refused ? { title: refused } : {})} onClick={() => setAsking(true)}>
          {t('sessions.endAll')}
        </Button>
      </div>
      <DataTable
        label={t('sessions.title')}
        {...(read.data ? { rows: read.data.items } : {})}
        error={read.error}
        retry={() => void read.refetch()}
        rowKey={({ id }) => id}
        empty={t('sessions.none')}
        columns={[
          {
            key: 'agent',
            title: t('sessions.agent'),
            render: ({ agent, current }) => (
              <span>
                {agent || '—'} {current && <StateTag state="info" label={t('sessions.current')} />}
              </span>
            ),
          },
          { key: 'address', title: t('sessions.address'), render: ({ address }) => <code>{address}</code> },
          { key: 'method', title: t('sessions.method'), render: ({ method }) => t(`sessions.methods.${method}`, { defaultValue: method }) },
          { key: 'begun', title: t('sessions.begun'), render: ({ created_at: at }) => <Time at={at} /> },
          { key: 'seen', title: t('sessions.seen'), render: ({ last_seen_at: at }) => <Time at={at} /> },
          { key: 'expires', title: t('sessions.expires'), render: ({ expires_at: at }) => <Time at={at} /> },
          {
            key: 'end',
            title: t('actions'),
            render: ({ id, address, current }) => {
              const no = why ?? (current ? t('sessions.signOut') : undefined);
              return (
                <Button tag="button"
                  size="small"
                  variant="outline"
                  theme="default"
                  aria-label={t('sessions.endOf', { address })}
                  disabled={!!no}
                  {...(no ? { title: no } : {})}
                  onClick={() => end.mutate({ params: { path: { ...path, session: id } } }, { onSuccess: () => notify('success', t('sessions.ended')), onError: notify })}
                >
                  {t('sessions.end')}
                </Button>
              );
            },
          },
        ]}
      />
      {asking && (
        <ConfirmDialog title={t('sessions.endAllOf', { name: user.name })} action={t('sessions.endAll')} danger onConfirm={() => endAll.mutateAsync({ params: { path } })} onClose={() => setAsking(false)}>
          <p>{t('sessions.endAllExplain')}</p>
        </ConfirmDialog>
      )}
    </section>
  );
}
