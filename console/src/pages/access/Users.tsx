import { Button } from 'tdesign-react';
import { AddIcon } from 'tdesign-icons-react';
import { useTranslation } from 'react-i18next';
import { Link, Navigate, useNavigate } from 'react-router';
import { useSession } from '@/session/session';
import { DataTable, PageHeader, StateTag, Time, useCursorPages, useOperations } from '@/shared';
import { SignInMethods } from './SignInMethods';
import { Tabs } from './Tabs';
import './style.css';

/** Who may use the console; whoever may not see that is led to the keys. */
export default function Users() {
  return useOperations().may('users:read') ? <Listed /> : <Navigate to="/access/keys" replace />;
}

function Listed() {
  const { t } = useTranslation('access');
  const navigate = useNavigate();
  const { reason } = useOperations();
  const me = useSession().user.id;
  const pages = useCursorPages('/v1/users', { query: { limit: 50 } }, { refetchInterval: 5_000 });
  const why = reason('users:write');
  return (
    <>
      <PageHeader title={t('title')} note={t('user.note')}>
        <Button tag="button" icon={<AddIcon />} disabled={!!why} {...(why ? { title: why } : {})} onClick={() => void navigate('/access/users/new')}>
          {t('user.create')}
        </Button>
      </PageHeader>
      <Tabs />
      <DataTable
        label={t('tabs.users')}
        pages={pages}
        rowKey={({ id }) => id}
        columns={[
          {
            key: 'name',
            title: t('user.name'),
            render: ({ id, name, full_name: fullName }) => (
              <span>
                <Link to={`/access/users/${id}`}>{name}</Link> {fullName && <span className="hint">{fullName}</span>} {id === me && <StateTag state="info" label={t('user.you')} />}
              </span>
            ),
          },
          { key: 'role', title: t('user.role'), render: ({ role }) => <span title={t(`role.${role}.may`)}>{t(`role.${role}.name`)}</span> },
          { key: 'state', title: t('user.state'), render: ({ disabled }) => <StateTag state={disabled ? 'disabled' : 'enabled'} /> },
          { key: 'methods', title: t('user.methods'), render: (user) => <SignInMethods user={user} /> },
          { key: 'seen', title: t('user.seen'), render: ({ last_seen_at: at }) => (at ? <Time at={at} /> : t('user.neverSeen')) },
        ]}
      />
    </>
  );
}
