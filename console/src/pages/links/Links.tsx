import { Button } from 'tdesign-react';
import { AddIcon } from 'tdesign-icons-react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate } from 'react-router';
import { useApiQuery } from '@/api/client';
import { AppID, DataTable, FilterBar, PageHeader, StateTag, Time, useCursorPages, useFilters, useOperations } from '@/shared';
import { linkTheme } from './linkState';

/** All authorization links, the newest first. */
export default function Links() {
  const { t } = useTranslation('links');
  const navigate = useNavigate();
  const { may, reason } = useOperations();
  const filters = useFilters('component');
  const components = useApiQuery('/v1/components', {}, { enabled: may('components:read') });
  const pages = useCursorPages('/v1/authorization-links', { query: { ...filters.query, limit: 25 } }, { refetchInterval: 5_000 });
  const why = reason('links:write');
  return (
    <>
      <PageHeader title={t('title')} note={t('note')}>
        <Button tag="button" icon={<AddIcon />} disabled={!!why} {...(why ? { title: why } : {})} onClick={() => void navigate('/links/new')}>
          {t('create')}
        </Button>
        {why && <span className="hint">{why}</span>}
      </PageHeader>
      {(components.data?.items.length ?? 0) > 1 && (
        <FilterBar
          filters={filters}
          fields={[
            {
              name: 'component',
              label: t('component'),
              kind: 'select',
              options: (components.data?.items ?? []).map(({ appid }) => ({ value: appid, label: appid })),
            },
          ]}
        />
      )}
      <DataTable
        label={t('title')}
        pages={pages}
        rowKey={({ id }) => id}
        filtered={filters.active}
        empty={
          <>
            {t('empty')} {!why && <Link to="/links/new">{t('create')}</Link>}
          </>
        }
        columns={[
          {
            key: 'link',
            title: t('link'),
            render: (link) => (
              <Link to={`/links/${link.id}`}>
                {link.reference || (link.biz_appid ? t('for', { appid: link.biz_appid }) : t('forAny'))}
              </Link>
            ),
          },
          { key: 'state', title: t('state.state'), render: ({ state }) => <StateTag state={state} label={t(`state.${state}`)} theme={linkTheme(state)} /> },
          { key: 'component', title: t('component'), render: ({ component_appid: appid }) => <AppID id={appid} /> },
          { key: 'type', title: t('authType'), render: ({ auth_type: type }) => t(`type.${type}.name`, { defaultValue: String(type) }) },
          {
            key: 'sets',
            title: t('sets.title'),
            render: ({ permission_sets: sets }) => (sets.length === 0 ? t('sets.all') : t('sets.count', { count: sets.length })),
          },
          { key: 'created', title: t('createdAt'), render: ({ created_at: at }) => <Time at={at} /> },
          { key: 'expires', title: t('expiresAt'), render: ({ expires_at: at }) => <Time at={at} /> },
          {
            key: 'used',
            title: t('usedBy'),
            render: ({ used_by: appid, component_appid: component }) =>
              appid ? <Link to={`/authorizers/${appid}?${new URLSearchParams({ component })}`}>{appid}</Link> : '—',
          },
        ]}
      />
    </>
  );
}
