import { useTranslation } from 'react-i18next';
import { DataTable, FilterBar, PageHeader, StateTag, Time, useCursorPages, useFilters, useOperations, type Column } from '@/shared';
import { AuditHead } from './AuditHead';
import { Actor, Concerned, Details, entryText, type Entry } from './auditEntry';
import { Tabs } from './Tabs';
import './style.css';

/** What was done, the newest first. The API pages by number; filters are for the records that a page has. */
export default function Audit() {
  const { t } = useTranslation('access');
  const { reason } = useOperations();
  const filters = useFilters('q', 'operation', 'result');
  const pages = useCursorPages('/v1/audit', { query: { limit: 200 } }, { refetchInterval: 5_000 });
  const missing = reason('audit:read');
  if (missing) return <PageHeader title={t('title')} note={missing} />;
  const loaded = pages.items ?? [];
  const { q, operation, result } = filters.values;
  const nameOf = (id: string) => t(`did.${id}`, { defaultValue: id });
  const found = loaded.filter(
    (entry) =>
      (operation === '' || entry.operation === operation) &&
      (result === '' || entry.result === result) &&
      `${entryText(entry)} ${nameOf(entry.operation)}`.toLowerCase().includes(q.trim().toLowerCase()),
  );
  const choices = (values: string[], name: (value: string) => string) => [...new Set(values)].sort().map((value) => ({ value, label: name(value) }));
  const columns: Array<Column<Entry>> = [
    { key: 'at', title: t('audit.at'), render: ({ at }) => <Time at={at} exact /> },
    { key: 'who', title: t('audit.who'), render: (entry) => <Actor entry={entry} /> },
    { key: 'what', title: t('audit.what'), render: ({ operation: id }) => <span title={id}>{nameOf(id)}</span>, heading: true },
    { key: 'concerned', title: t('audit.concerned'), render: (entry) => <Concerned entry={entry} /> },
    { key: 'from', title: t('audit.from'), render: ({ address }) => address && <code>{address}</code> },
    {
      key: 'result',
      title: t('audit.result'),
      render: ({ result: outcome, unreadable }) =>
        unreadable ? (
          <StateTag state="critical" label={t('audit.altered')} />
        ) : (
          <StateTag state={outcome} label={t(`audit.results.${outcome}`, { defaultValue: outcome })} theme={outcome === 'ok' ? 'success' : 'warning'} />
        ),
    },
    { key: 'details', title: t('audit.details'), render: (entry) => <Details entry={entry} /> },
  ];
  return (
    <>
      <PageHeader title={t('title')} note={t('audit.note')} />
      <Tabs />
      <AuditHead />
      <FilterBar
        filters={filters}
        fields={[
          { name: 'q', label: t('audit.search'), kind: 'search', placeholder: t('audit.searchHint') },
          { name: 'operation', label: t('audit.what'), kind: 'select', options: choices(loaded.map((entry) => entry.operation), nameOf) },
          {
            name: 'result',
            label: t('audit.result'),
            kind: 'select',
            options: choices(loaded.map((entry) => entry.result), (value) => t(`audit.results.${value}`, { defaultValue: value })),
          },
        ]}
      />
      {filters.active && pages.items && (
        <p className="hint" role="status">
          {t('audit.filtered', { found: found.length, loaded: loaded.length })}
        </p>
      )}
      <DataTable
        label={t('tabs.audit')}
        pages={pages}
        {...(pages.items ? { rows: found } : {})}
        rowKey={({ seq }) => String(seq)}
        filtered={filters.active}
        columns={columns}
      />
    </>
  );
}
