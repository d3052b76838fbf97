import { BaseTable, Button } from 'tdesign-react';
import { useState, type ReactNode } from 'react';
import type { TFunction } from 'i18next';
import { useTranslation } from 'react-i18next';
import { useApiQuery, type Init, type Problem, type QueryOptions, type Reply } from '@/api/client';
import type { paths } from '@/api/schema';
import type { PathsWithMethod } from 'openapi-typescript-helpers';
import { Empty, Loading, ProblemNote } from './feedback';
import { useNarrow } from './media';

export interface Column<Row> {
  key: string;
  title: string;
  render: (row: Row) => ReactNode;
  width?: number | string;
  /** The heading of the card under 768 px, where the first column is by default. */
  heading?: boolean;
}

/** One page at a time of something that the API lists with a cursor. */
export interface CursorPages<Row> {
  items: Row[] | undefined;
  isLoading: boolean;
  error: Problem | null;
  refetch: () => void;
  page: number;
  next?: () => void;
  previous?: () => void;
}

type ItemOf<R> = R extends { items: infer Items } ? (NonNullable<Items> extends Array<infer Item> ? Item : never) : never;

/**
 * Lists with a cursor: `useCursorPages('/v1/events', { query: { component } })`. Changed
 * parameters begin at the first page again.
 */
export function useCursorPages<P extends PathsWithMethod<paths, 'get'>>(
  path: P,
  params: NonNullable<Init<'get', P>>['params'],
  options: QueryOptions = {},
): CursorPages<ItemOf<Reply<'get', P>>> {
  const of = JSON.stringify([path, params]);
  const [at, setAt] = useState<{ of: string; cursors: string[] }>({ of, cursors: [] });
  const cursors = at.of === of ? at.cursors : [];
  const cursor = cursors.at(-1);
  const query = { ...(params as { query?: object } | undefined)?.query, ...(cursor === undefined ? {} : { cursor }) };
  const read = useApiQuery(path, { ...(params as object | undefined), query } as typeof params, {
    keepPrevious: true,
    ...options,
  });
  const reply = read.data as { items?: Array<ItemOf<Reply<'get', P>>> | null; next_cursor?: string | null } | undefined;
  const following = reply?.next_cursor;
  return {
    items: reply ? (reply.items ?? []) : undefined,
    isLoading: read.isLoading,
    error: read.error,
    refetch: () => void read.refetch(),
    page: cursors.length + 1,
    ...(following && !read.isPlaceholderData ? { next: () => setAt({ of, cursors: [...cursors, following] }) } : {}),
    ...(cursors.length > 0 ? { previous: () => setAt({ of, cursors: cursors.slice(0, -1) }) } : {}),
  };
}

/** Rows chosen by their ids. */
export interface Selection<Row> {
  ids: string[];
  onChange: (ids: string[]) => void;
  /** What a row is called, for screen readers. */
  name: (row: Row) => string;
}

/**
 * A list: a table, or cards under 768 px. Give it `pages` from {@link useCursorPages}, or
 * `rows` (undefined while they load) and the query's `error` and `retry`.
 */
export function DataTable<Row extends object>({
  label,
  columns,
  rowKey,
  pages,
  rows = pages?.items,
  error = pages?.error,
  retry = pages?.refetch,
  filtered = false,
  empty,
  selection,
}: {
  /** What is listed, for screen readers. */
  label: string;
  columns: Array<Column<Row>>;
  rowKey: (row: Row) => string;
  pages?: CursorPages<Row>;
  rows?: Row[];
  error?: unknown;
  retry?: () => void;
  /** Whether an empty list may be due to filters. */
  filtered?: boolean;
  /** What to say, or offer, when there is nothing. */
  empty?: ReactNode;
  selection?: Selection<Row>;
}) {
  const { t } = useTranslation('shared');
  const narrow = useNarrow();
  const note = <ProblemNote error={error} retry={retry} />;
  if (!rows) return error ? note : <Loading />;
  const chosen = selection ? [selectionColumn(selection, rows, rowKey, t), ...columns] : columns;
  return (
    <section className="data" aria-label={label}>
      {note}
      {rows.length === 0 ? (
        <Empty>{filtered ? t('table.emptyFiltered') : (empty ?? t('table.empty'))}</Empty>
      ) : narrow ? (
        <Cards columns={chosen} rows={rows} rowKey={rowKey} />
      ) : (
        <Wide columns={chosen} rows={rows} rowKey={rowKey} />
      )}
      {pages && (pages.next || pages.previous) && (
        <nav className="pages" aria-label={label}>
          <Button tag="button" variant="outline" theme="default" disabled={!pages.previous} onClick={pages.previous}>
            {t('table.previous')}
          </Button>
          <span aria-live="polite">{t('table.page', { page: pages.page })}</span>
          <Button tag="button" variant="outline" theme="default" disabled={!pages.next} onClick={pages.next}>
            {t('table.next')}
          </Button>
        </nav>
      )}
    </section>
  );
}

interface Layout<Row> {
  columns: Array<Column<Row> & { head?: ReactNode }>;
  rows: Row[];
  rowKey: (row: Row) => string;
}

function Wide<Row extends object>({ columns, rows, rowKey }: Layout<Row>) {
  return (
    <div className="table" tabIndex={0} role="group">
      <BaseTable
        rowKey="key"
        hover
        size="small"
        tableLayout="auto"
        data={rows.map((row) => ({ key: rowKey(row), row }))}
        columns={columns.map(({ key, title, head, width, render }) => ({
          colKey: key,
          title: () => head ?? title,
          width,
          cell: ({ row }: { row: { row: Row } }) => render(row.row),
        })) as never}
      />
    </div>
  );
}

function Cards<Row extends object>({ columns, rows, rowKey }: Layout<Row>) {
  const heading = columns.find((column) => column.heading) ?? columns.find((column) => column.key !== selectionKey);
  const rest = columns.filter((column) => column !== heading && column.key !== selectionKey);
  const select = columns.find((column) => column.key === selectionKey);
  return (
    <ul className="cards">
      {rows.map((row) => (
        <li key={rowKey(row)} className="card">
          <div className="card-heading">
            {select?.render(row)}
            {heading?.render(row)}
          </div>
          <dl>
            {rest.map(({ key, title, render }) => {
              const shown = render(row);
              return (
                // What a row has not is left out.
                shown !== null && shown !== false && shown !== '' && (
                  <div key={key}>
                    <dt>{title}</dt>
                    <dd>{shown}</dd>
                  </div>
                )
              );
            })}
          </dl>
        </li>
      ))}
    </ul>
  );
}

const selectionKey = ' selection';

function selectionColumn<Row>(
  { ids, onChange, name }: Selection<Row>,
  rows: Row[],
  rowKey: (row: Row) => string,
  t: TFunction<'shared'>,
): Column<Row> & { head: ReactNode } {
  const chosen = new Set(ids);
  const here = rows.map(rowKey);
  const all = here.every((id) => chosen.has(id));
  return {
    key: selectionKey,
    title: '',
    width: 44,
    head: (
      <input
        type="checkbox"
        aria-label={t('table.selectAll')}
        checked={all}
        onChange={() => onChange(all ? ids.filter((id) => !here.includes(id)) : [...new Set([...ids, ...here])])}
      />
    ),
    render: (row) => {
      const id = rowKey(row);
      return (
        <input
          type="checkbox"
          aria-label={t('table.select', { what: name(row) })}
          checked={chosen.has(id)}
          onChange={() => onChange(chosen.has(id) ? ids.filter((other) => other !== id) : [...ids, id])}
        />
      );
    },
  };
}
