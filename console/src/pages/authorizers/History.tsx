import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Button } from 'tdesign-react';
import type { Reply } from '@/api/client';
import { Duration, Empty, Loading, ProblemNote, StateTag, Time, useCursorPages } from '@/shared';
import { paramsOf, type AuthorizerDetail } from './authorizer';
import { Explanation } from './Explanation';

type TokenEvent = Reply<'get', '/v1/authorizers/{appid}/history'>['items'][number];

/** What happened to the tokens and to the grant, newest first, and who caused it. */
export function History({ of }: { of: AuthorizerDetail }) {
  const { t } = useTranslation('authorizers');
  const { path, query } = paramsOf({ appid: of.appid, component: of.component_appid });
  const pages = useCursorPages('/v1/authorizers/{appid}/history', { path, query: { ...query, limit: 20 } }, { refetchInterval: 5_000 });
  return (
    <section aria-labelledby="history">
      <h2 id="history">{t('section.history')}</h2>
      <ProblemNote error={pages.error} retry={pages.refetch} />
      {!pages.items && !pages.error && <Loading />}
      {pages.items?.length === 0 && <Empty>{t('history.empty')}</Empty>}
      <ol className="timeline">{pages.items?.map((event) => <Happening key={event.id} event={event} />)}</ol>
      {(pages.next || pages.previous) && (
        <nav className="pages" aria-label={t('section.history')}>
          <Button tag="button" variant="outline" theme="default" disabled={!pages.previous} onClick={pages.previous}>
            {t('history.newer')}
          </Button>
          <span aria-live="polite">{t('history.page', { page: pages.page })}</span>
          <Button tag="button" variant="outline" theme="default" disabled={!pages.next} onClick={pages.next}>
            {t('history.older')}
          </Button>
        </nav>
      )}
    </section>
  );
}

/** One thing that happened, as a sentence. */
function Happening({ event }: { event: TokenEvent }) {
  const { t } = useTranslation('authorizers');
  const state = event.kind === 'state';
  const good = state ? event.result === 'active' : event.result === 'ok';
  const what = state
    ? t('history.state', { state: t(`states.${event.result}`, { defaultValue: event.result }) })
    : t(`history.${event.kind}.${good ? 'ok' : 'failed'}`);
  return (
    <li className={good ? 'good' : 'bad'}>
      <div className="row">
        {state ? <StateTag state={event.result} /> : <StateTag state={good ? 'ok' : 'failed'} />}
        <strong>{what}</strong>
        <Time at={event.at} />
      </div>
      <p>
        <Cause cause={event.cause === 'background' && event.kind === 'refresh' ? 'due' : event.cause} actor={event.actor} />
        {!state && !good && <span>{t(`history.result.${event.result}`, { defaultValue: event.result })}</span>}
      </p>
      {event.message && (
        <p className="hint">
          <code>{event.message}</code>
        </p>
      )}
      {event.errcode !== 0 && <Why code={event.errcode} />}
      <p className="hint">
        {t('history.replica', { replica: event.replica })}
        {event.duration_ms > 0 && (
          <>
            {' · '}
            <Duration ms={event.duration_ms} />
          </>
        )}
      </p>
    </li>
  );
}

function Cause({ cause, actor }: { cause: string; actor: string }) {
  const { t } = useTranslation('authorizers');
  const known = t(`history.${actor ? 'causeBy' : 'cause'}.${cause || 'unknown'}`, { actor, defaultValue: [cause, actor].filter(Boolean).join(' ') });
  return known ? <span>{known} </span> : null;
}

/** Explains an errcode once somebody asks. */
function Why({ code }: { code: number }) {
  const { t } = useTranslation('authorizers');
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t('errcode.why', { code })}</summary>
      {open && <Explanation code={code} />}
    </details>
  );
}
