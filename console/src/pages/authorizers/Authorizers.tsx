import './style.css';
import { Tag } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { useApiQuery } from '@/api/client';
import { AppID, DataTable, FilterBar, PageHeader, Time, useCursorPages, useFilters, useLanguage, useOperations } from '@/shared';
import { pathOf, type Authorizer } from './authorizer';
import { Avatar } from './Avatar';
import { BulkBar } from './BulkBar';
import { Health } from './Health';
import { keyOf, useSelection } from './selection';

/** All authorizers: to be found, looked at and worked on together. */
export default function Authorizers() {
  const { t } = useTranslation('authorizers');
  const { text } = useLanguage();
  const { may } = useOperations();
  const filters = useFilters('q', 'component', 'state', 'kind', 'tag', 'permission_set');
  const components = useApiQuery('/v1/components', {}, { enabled: may('components:read') });
  const sets = useApiQuery('/v1/permission-sets');
  const pages = useCursorPages('/v1/authorizers', { query: { ...(filters.query as object), limit: 25 } }, { refetchInterval: 5_000 });
  const selection = useSelection(JSON.stringify(filters.query), pages.items ?? []);
  const several = (components.data?.items.length ?? 0) > 1;
  return (
    <>
      <PageHeader title={t('title')} note={t('note')} />
      <FilterBar
        filters={filters}
        fields={[
          { name: 'q', label: t('filter.q'), kind: 'search', placeholder: t('filter.qPlaceholder') },
          ...(several
            ? [
                {
                  name: 'component' as const,
                  label: t('component'),
                  kind: 'select' as const,
                  options: (components.data?.items ?? []).map(({ appid }) => ({ value: appid, label: appid })),
                },
              ]
            : []),
          {
            name: 'state',
            label: t('state'),
            kind: 'select',
            options: (['active', 'needs_reauthorization', 'revoked'] as const).map((value) => ({ value, label: t(`states.${value}`) })),
          },
          {
            name: 'kind',
            label: t('kind.kind'),
            kind: 'select',
            options: (['official_account', 'mini_program'] as const).map((value) => ({ value, label: t(`kind.${value}`) })),
          },
          { name: 'tag', label: t('tag'), kind: 'search', placeholder: t('filter.tagPlaceholder') },
          {
            name: 'permission_set',
            label: t('sets.set'),
            kind: 'select',
            options: (sets.data?.items ?? []).map(({ id, name, name_zh }) => ({ value: String(id), label: `${id} ${text({ zh: name_zh, en: name })}` })),
          },
        ]}
      />
      <BulkBar selection={selection} filters={filters.query} />
      <DataTable
        label={t('title')}
        pages={pages}
        rowKey={keyOf}
        filtered={filters.active}
        empty={
          <>
            {t('empty')} <Link to="/links/new">{t('makeLink')}</Link>
          </>
        }
        selection={{ ids: selection.ids, onChange: selection.choose, name: nameOf }}
        columns={[
          { key: 'account', title: t('account'), heading: true, render: (a) => <Account of={a} /> },
          { key: 'state', title: t('state'), render: (a) => <Health of={a} /> },
          { key: 'kind', title: t('kind.kind'), render: ({ kind }) => t(`kind.${kind || 'unknown'}`) },
          ...(several ? [{ key: 'component', title: t('component'), render: (a: Authorizer) => <AppID id={a.component_appid} /> }] : []),
          {
            key: 'tags',
            title: t('tags.tags'),
            render: ({ tags }) =>
              tags.length === 0 ? '—' : (
                <span className="row">
                  {tags.map((tag) => (
                    <Tag key={tag} variant="outline">
                      {tag}
                    </Tag>
                  ))}
                </span>
              ),
          },
          { key: 'token', title: t('tokenExpires'), render: (a) => (a.state === 'active' ? <Time at={a.token_expires_at} /> : '—') },
          { key: 'authorized', title: t('authorizedAt'), render: (a) => <Time at={a.authorized_at} /> },
        ]}
      />
    </>
  );
}

const nameOf = ({ nick_name, appid }: Authorizer) => nick_name || appid;

function Account({ of }: { of: Authorizer }) {
  return (
    <span className="account">
      <Avatar name={of.nick_name || of.appid} />
      <span>
        <Link to={pathOf({ appid: of.appid, component: of.component_appid })}>{nameOf(of)}</Link>
        <AppID id={of.appid} />
      </span>
    </span>
  );
}
