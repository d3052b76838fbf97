import { Button } from 'tdesign-react';
import { AddIcon } from 'tdesign-icons-react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate } from 'react-router';
import { DataTable, PageHeader, Time, useCursorPages, useOperations } from '@/shared';
import { KeyState } from './KeyState';
import { Tabs } from './Tabs';
import './style.css';

export default function Keys() {
  const { t } = useTranslation('access');
  const navigate = useNavigate();
  const { reason } = useOperations();
  const pages = useCursorPages('/v1/api-keys', { query: { limit: 50 } }, { refetchInterval: 5_000 });
  const why = reason('keys:write');
  return (
    <>
      <PageHeader title={t('title')} note={t('key.note')}>
        <Button tag="button" icon={<AddIcon />} disabled={!!why} {...(why ? { title: why } : {})} onClick={() => void navigate('/access/keys/new')}>
          {t('key.create')}
        </Button>
      </PageHeader>
      <Tabs />
      <DataTable
        label={t('tabs.keys')}
        pages={pages}
        rowKey={({ id }) => id}
        empty={t('key.none')}
        columns={[
          { key: 'name', title: t('key.name'), render: ({ id, name }) => <Link to={`/access/keys/${id}`}>{name}</Link> },
          { key: 'state', title: t('key.stateTitle'), render: (key) => <KeyState of={key} /> },
          {
            key: 'operations',
            title: t('key.operations'),
            render: ({ scope: { operations } }) =>
              operations.includes('*') ? t('operation.everything.name') : <span title={operations.join(', ')}>{t('key.operationCount', { count: operations.length })}</span>,
          },
          {
            key: 'accounts',
            title: t('key.accounts'),
            render: ({ scope: { authorizers = [], tags = [] } }) =>
              authorizers.length + tags.length === 0 ? t('key.which.all') : t('key.accountCount', { accounts: authorizers.length, tags: tags.length }),
          },
          { key: 'expires', title: t('key.expiresAt'), render: ({ expires_at: at }) => (at ? <Time at={at} /> : t('key.lifeForever')) },
          { key: 'used', title: t('key.lastUsed'), render: ({ last_used_at: at }) => (at ? <Time at={at} /> : t('key.neverUsed')) },
        ]}
      />
    </>
  );
}
