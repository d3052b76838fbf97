import { useState } from 'react';
import { useMutation } from '@tanstack/react-query';
import { call, useApiQuery, type Problem, type Schema } from '@/api/client';

export type Event = Schema<'Event'>;

export interface EventFilter {
  component?: string;
  authorizer?: string;
  kind?: string;
  since?: string;
  until?: string;
}

const pageSize = 100;
const kept = 500;
const pause = 2_000;

const newestFirst = (a: Event, b: Event) => Number(b.id) - Number(a.id);

/**
 * Events as they arrive, the newest first. While they are held, rows stay as they are and
 * what arrives is counted in `waiting`. The filter may not change: give the component that
 * uses this a key.
 */
export function useTail(filter: EventFilter, held: boolean) {
  const query = { ...filter, order: 'desc' as const, limit: pageSize };
  const newest = useApiQuery('/v1/events', { query }, { refetchInterval: pause });
  const [seen, setSeen] = useState<{ of?: Schema<'ListEvent'>; rows: Event[]; older: string }>({ rows: [], older: '' });
  const [shown, setShown] = useState<Event[]>([]);

  let { rows, older: olderCursor } = seen;
  if (newest.data && newest.data !== seen.of) {
    const batch = newest.data.items;
    const known = new Set(rows.map(({ id }) => id));
    // More than a page has come since: what lies between is read again from below.
    const gap = rows.length > 0 && batch.length >= pageSize && !batch.some(({ id }) => known.has(id));
    if (rows.length === 0 || gap) {
      rows = batch;
      olderCursor = newest.data.next_cursor;
    } else {
      const all = [...batch.filter(({ id }) => !known.has(id)), ...rows].sort(newestFirst);
      const most = Math.max(kept, rows.length);
      // An event's id is the cursor of those before it.
      if (all.length > most) olderCursor = all[most - 1]!.id;
      rows = all.slice(0, most);
    }
    setSeen({ of: newest.data, rows, older: olderCursor });
  }
  const visible = held ? shown : rows;
  if (!held && shown !== rows) setShown(rows);

  const older = useMutation<Schema<'ListEvent'>, Problem>({
    mutationFn: () => call('get', '/v1/events', { params: { query: { ...query, cursor: olderCursor } } }),
    onSuccess: (page) => {
      const append = (before: Event[]) => [...before, ...page.items.filter(({ id }) => !before.some((row) => row.id === id))];
      setSeen((before) => ({ ...before, rows: append(before.rows), older: page.next_cursor }));
      setShown(append);
    },
  });

  const top = visible[0];
  return {
    rows: newest.data ? visible : undefined,
    /** How many are newer than the first row shown. */
    waiting: held ? rows.filter((row) => !top || Number(row.id) > Number(top.id)).length : 0,
    show: () => setShown(rows),
    error: newest.error,
    retry: () => void newest.refetch(),
    readAt: newest.dataUpdatedAt,
    /** Reads what is below the last row; undefined at the end. */
    older: olderCursor ? () => older.mutate() : undefined,
    olderBusy: older.isPending,
    olderError: older.error,
  };
}
