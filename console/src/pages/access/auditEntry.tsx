import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import type { Schema } from '@/api/client';
import { Copy } from '@/shared';

export type Entry = Schema<'AuditEntry'>;

/** All that a search looks through. */
export function entryText(entry: Entry): string {
  return [
    entry.seq, entry.actor, entry.actor_name, entry.address, entry.operation, entry.component_appid, entry.authorizer_appid,
    entry.target, entry.result, entry.request_id, ...Object.values(entry.detail),
  ].join(' ');
}

/** Who did it: a user of the console or an API key. */
export function Actor({ entry }: { entry: Entry }) {
  const { t } = useTranslation('access');
  const { actor, actor_name: name } = entry;
  if (!actor) return <span>{name || t('audit.nobody')}</span>;
  const user = actor.startsWith('user:');
  // The key of the configuration is none of those listed.
  if (actor === 'bootstrap') return <span>{t('audit.bootstrap')}</span>;
  return (
    <span>
      <Link to={user ? `/access/users/${actor.slice('user:'.length)}` : `/access/keys/${actor}`}>{name || actor}</Link>{' '}
      <span className="hint">{t(user ? 'audit.byUser' : 'audit.byKey')}</span>
    </span>
  );
}

/** Which account, or what else, it was done to. */
export function Concerned({ entry }: { entry: Entry }) {
  const { authorizer_appid: account, component_appid: component, target } = entry;
  if (!account && !component && !target) return <span>—</span>;
  return (
    <span className="access-concerned">
      {account && <Link to={`/authorizers/${account}?${new URLSearchParams({ component })}`}>{account}</Link>}
      {!account && component && <Link to={`/components/${component}`}>{component}</Link>}
      {target && <code>{target}</code>}
    </span>
  );
}

/** The rest, once somebody asks. */
export function Details({ entry }: { entry: Entry }) {
  const { t } = useTranslation('access');
  return (
    <details className="access-details">
      <summary aria-label={t('audit.detailsOf', { seq: entry.seq })}>#{entry.seq}</summary>
      <dl>
        {Object.entries(entry.detail).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
        {entry.repeats > 0 && (
          <div>
            <dt>{t('audit.repeats')}</dt>
            <dd>{entry.repeats}</dd>
          </div>
        )}
        <div>
          <dt>{t('audit.request')}</dt>
          <dd>{entry.request_id || '—'}</dd>
        </div>
        <div>
          <dt>{t('audit.hash')}</dt>
          <dd>
            <code>{entry.hash}</code>
            <Copy text={entry.hash} what={t('audit.hash')} />
          </dd>
        </div>
      </dl>
    </details>
  );
}
