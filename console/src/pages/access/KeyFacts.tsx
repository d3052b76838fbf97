import { useTranslation } from 'react-i18next';
import { AppID, Time } from '@/shared';
import type { APIKey } from './keyForm';
import { textOf } from './keyOperations';

/** What a key may do, for whom, from where and how long. */
export function KeyFacts({ of }: { of: APIKey }) {
  const { t } = useTranslation('access');
  const { operations, components = [], authorizers = [], tags = [], paths = [], networks = [], rate } = of.scope;
  return (
    <>
      <section className="panel" aria-labelledby="times">
        <h2 id="times">{t('key.times')}</h2>
        <dl>
          <div>
            <dt>ID</dt>
            <dd>
              <AppID id={of.id} />
            </dd>
          </div>
          <div>
            <dt>{t('key.lastUsed')}</dt>
            <dd>{of.last_used_at ? <Time at={of.last_used_at} /> : t('key.neverUsed')}</dd>
          </div>
          <div>
            <dt>{t('key.expiresAt')}</dt>
            <dd>{of.expires_at ? <Time at={of.expires_at} exact /> : t('key.lifeForever')}</dd>
          </div>
          <div>
            <dt>{t('createdAt')}</dt>
            <dd>
              <Time at={of.created_at} exact />
            </dd>
          </div>
          {of.previous_until && (
            <div>
              <dt>{t('key.previousUntil')}</dt>
              <dd>
                <Time at={of.previous_until} exact />
              </dd>
            </div>
          )}
          {of.revoked_at && (
            <div>
              <dt>{t('key.revokedAt')}</dt>
              <dd>
                <Time at={of.revoked_at} exact />
              </dd>
            </div>
          )}
        </dl>
      </section>
      <section className="panel" aria-labelledby="scope">
        <h2 id="scope">{t('key.scope')}</h2>
        <dl>
          <div>
            <dt>{t('key.operations')}</dt>
            <dd>
              <ul>
                {operations.map((operation) => (
                  <li key={operation}>
                    {t(`${textOf(operation)}.name`, { defaultValue: operation })} <code>{operation}</code>
                  </li>
                ))}
              </ul>
            </dd>
          </div>
          <Limits title={t('key.components')} entries={components} otherwise={t('key.anyComponent')} />
          {authorizers.length + tags.length === 0 && <Limits title={t('key.accounts')} entries={[]} otherwise={t('key.which.all')} />}
          {authorizers.length > 0 && <Limits title={t('key.authorizers')} entries={authorizers} otherwise="" />}
          {tags.length > 0 && <Limits title={t('key.tags')} entries={tags} otherwise="" />}
          <Limits title={t('key.paths')} entries={paths} otherwise={t('key.anyPath')} />
          <Limits title={t('key.networks')} entries={networks} otherwise={t('key.anyNetwork')} />
          <Limits title={t('key.rate')} entries={rate ? [String(rate)] : []} otherwise={t('key.anyRate')} />
        </dl>
      </section>
    </>
  );
}

function Limits({ title, entries, otherwise }: { title: string; entries: string[]; otherwise: string }) {
  return (
    <div>
      <dt>{title}</dt>
      <dd>
        {entries.length === 0 ? (
          otherwise
        ) : (
          <span className="access-tags">
            {entries.map((entry) => (
              <code key={entry}>{entry}</code>
            ))}
          </span>
        )}
      </dd>
    </div>
  );
}
