import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { useSendQuery } from '@/api/client';
import { useSignal } from '@/api/signal';
import { ConfirmDialog, ProblemNote, useOperations } from '@/shared';
import { chats, say, visitor, type Bubble } from './bubbles';
import type { Screen } from './Phone';
import { standing, useAccounts, useClock, useControl, type Push } from './platform';

interface Sent {
  time: string;
  touser: string;
  msgtype: string;
  text?: { content: string };
}

type Answered = Push & { reply: Record<string, unknown> | null };

/** A user chats with an account that has authorized. */
export function Chat({ appid, go }: { appid: string; go: (screen: Screen) => void }) {
  const { t } = useTranslation('simulator');
  const { reason } = useOperations();
  const [typed, setTyped] = useState('');
  const [revoking, setRevoking] = useState(false);
  const end = useRef<HTMLDivElement>(null);
  const offset = useClock().data?.offset_seconds ?? 0;
  const accounts = useAccounts();
  const account = accounts.data?.find((one) => one.appid === appid);
  const component = account && standing(account)[0]?.component_appid;
  const told = useSignal(chats)[appid] ?? [];
  const sent = useSendQuery<Sent[]>(`/simulator/accounts/${appid}/sent`, {}, { refetchInterval: 2_000 });
  const write = useControl<Answered>();
  const revoke = useControl<Push>();
  const why = reason('authorizers:write') ?? (account && !component ? t('chat.revoked') : undefined);

  const byAPI: Bubble[] = (sent.data ?? [])
    .filter(({ touser }) => touser === visitor)
    .map((message, index) => ({
      id: `sent ${index}`,
      from: 'account',
      text: message.text?.content ?? `[${message.msgtype}]`,
      at: Date.parse(message.time),
      note: t('chat.byAPI'),
    }));
  const all = [...told, ...byAPI].sort((a, b) => a.at - b.at);
  const count = all.length;
  useEffect(() => {
    end.current?.scrollIntoView({ block: 'nearest' });
  }, [count]);

  const now = () => Date.now() + offset * 1_000;
  const post = (text: string, message: Record<string, string>) => {
    const mine: Bubble = { id: crypto.randomUUID(), from: 'user', text, at: now() };
    say(appid, mine);
    write.mutate(
      { path: `/accounts/${appid}/messages`, body: { from: visitor, ...(component ? { component_appid: component } : {}), ...message } },
      {
        onSuccess: ({ attempts, accepted, problem, reply }) => {
          const last = attempts.at(-1);
          say(appid, {
            ...mine,
            note: accepted ? t('chat.accepted', { ms: last?.latency_ms ?? 0, count: attempts.length }) : t('chat.refused', { problem: problem ?? '' }),
          });
          if (reply && 'problem' in reply) say(appid, { id: `${mine.id} failed`, from: 'wechat', text: t('chat.unavailable'), at: now() });
          else if (reply) say(appid, { id: `${mine.id} reply`, from: 'account', text: replyText(reply), at: now(), note: t('chat.passive') });
        },
        onError: (error) => say(appid, { ...mine, note: error.detail }),
      },
    );
  };
  const events = account?.kind === 'mini_program' ? ['user_enter_tempsession'] : ['subscribe', 'unsubscribe', 'CLICK'];
  return (
    <div className="simulator-chat">
      <p className="simulator-with">
        <strong>{account?.nick_name ?? appid}</strong> <Link to={`/events?authorizer=${appid}`}>{t('chat.events')}</Link>
      </p>
      <ProblemNote error={accounts.error ?? sent.error} />
      <ul className="simulator-bubbles" aria-live="polite" aria-label={t('phone.chat')}>
        {all.length === 0 && <li className="wechat">{t('chat.begin')}</li>}
        {all.map((bubble) => (
          <li key={bubble.id} className={bubble.from}>
            <span className="visually-hidden">{t(`chat.from.${bubble.from}`)}</span>
            <span className="bubble">{bubble.text}</span>
            {bubble.note && <small>{bubble.note}</small>}
          </li>
        ))}
      </ul>
      <div ref={end} />
      <form
        className="simulator-write"
        onSubmit={(event) => {
          event.preventDefault();
          if (typed.trim() === '') return;
          post(typed, { type: 'text', content: typed });
          setTyped('');
        }}
      >
        <input type="text" aria-label={t('chat.message')} placeholder={t('chat.message')} value={typed} onChange={(event) => setTyped(event.target.value)} />
        <button type="submit" disabled={why !== undefined} {...(why ? { title: why } : {})}>
          {t('chat.send')}
        </button>
      </form>
      <div className="simulator-events">
        {events.map((event) => (
          <button key={event} type="button" className="simulator-small" disabled={why !== undefined} onClick={() => post(`[${t(`chat.event.${event}`)}]`, { type: 'event', event, ...(event === 'CLICK' ? { event_key: 'menu-1' } : {}) })}>
            {t(`chat.event.${event}`)}
          </button>
        ))}
        <button type="button" className="simulator-small" disabled={why !== undefined} {...(why ? { title: why } : {})} onClick={() => setRevoking(true)}>
          {t('chat.revoke')}
        </button>
      </div>
      {why && <p className="simulator-note">{why}</p>}
      {revoking && (
        <ConfirmDialog
          title={t('chat.revokeOf', { name: account?.nick_name ?? appid })}
          action={t('chat.revoke')}
          danger
          onConfirm={async () => {
            await revoke.mutateAsync({ path: `/accounts/${appid}/unauthorize`, body: component ? { component_appid: component } : {} });
            go({ name: 'home' });
          }}
          onClose={() => setRevoking(false)}
        >
          <p>{t('chat.revokeExplain')}</p>
        </ConfirmDialog>
      )}
    </div>
  );
}

/** A reply as a user sees it. */
function replyText(reply: Record<string, unknown>): string {
  if (typeof reply.Content === 'string') return reply.Content;
  return `[${String(reply.MsgType ?? '?')}]`;
}
