import { useTranslation } from 'react-i18next';
import { Empty, FilterBar, Loading, ProblemNote, StateTag, Time, useFilters } from '@/shared';
import { useJournal, type Entry } from './journal';

const kinds: Array<Entry['kind']> = ['request', 'push', 'issue', 'fault', 'control'];

/** What the simulated WeChat saw and did, the newest first. */
export function JournalTail() {
  const { t } = useTranslation('simulator');
  const filters = useFilters('kind');
  const chosen = filters.values.kind;
  return (
    <>
      <p>{t('journal.explain')}</p>
      <FilterBar
        filters={filters}
        fields={[{ name: 'kind', label: t('journal.kind'), kind: 'select', options: kinds.map((kind) => ({ value: kind, label: t(`journal.kinds.${kind}`) })) }]}
      />
      <JournalList kinds={chosen ? kinds.filter((kind) => kind === chosen) : kinds} />
    </>
  );
}

/** The lines of some kinds. */
export function JournalList({ kinds: wanted }: { kinds: Array<Entry['kind']> }) {
  const { t } = useTranslation('simulator');
  const journal = useJournal();
  if (!journal.data) return journal.error ? <ProblemNote error={journal.error} retry={() => void journal.refetch()} /> : <Loading />;
  const lines = journal.data.filter(({ kind }) => wanted.includes(kind)).reverse();
  return (
    <>
      <ProblemNote error={journal.error} />
      {lines.length === 0 && <Empty>{t('journal.none')}</Empty>}
      {lines.length > 0 && (
        <ol className="simulator-journal" tabIndex={0} aria-label={t('section.journal')}>
          {lines.map((entry) => (
            <Line key={entry.seq} entry={entry} />
          ))}
        </ol>
      )}
    </>
  );
}

function Line({ entry }: { entry: Entry }) {
  const { t } = useTranslation('simulator');
  const bad = entry.kind === 'fault' || (entry.errcode ?? 0) !== 0 || entry.status >= 500 || (entry.kind === 'push' && !entry.accepted);
  return (
    <li>
      <small>
        <Time at={entry.time} exact />
      </small>
      <StateTag state={entry.kind} label={t(`journal.kinds.${entry.kind}`)} theme={bad ? 'warning' : entry.kind === 'issue' ? 'success' : 'default'} />
      <span>{words(entry, t)}</span>
    </li>
  );
}

function words(entry: Entry, t: (key: string, values?: Record<string, string | number>) => string): string {
  const about = entry.authorizer_appid ? ` · ${entry.authorizer_appid}` : '';
  switch (entry.kind) {
    case 'fault':
      return `${t(`faults.knob.${entry.fault ?? ''}`)} · ${entry.path}`;
    case 'push':
      return `${entry.event ?? ''} → ${entry.path} · ${entry.accepted ? t('journal.accepted', { ms: entry.latency_ms ?? 0 }) : t('journal.refused', { problem: entry.problem ?? String(entry.status) })}${(entry.attempt ?? 1) > 1 ? ` · ${t('journal.attempt', { number: entry.attempt ?? 1 })}` : ''}`;
    case 'issue':
      return `${entry.secret ? t('journal.issued', { what: entry.secret }) : t('journal.became', { state: entry.state ?? '' })}${about}`;
    case 'request':
    case 'control':
      return `${entry.method} ${entry.path} · ${entry.status || t('journal.noReply')}${entry.errcode ? ` · errcode ${entry.errcode}` : ''}${about}`;
  }
}
