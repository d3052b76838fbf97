import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { JsonView, Time } from '@/shared';
import { Kinds } from './Kinds';
import type { Sink, Subscription } from './subscription';

/** What is delivered, and where to. */
export function Settings({ subscription }: { subscription: Subscription }) {
  return subscription.sink && <Known subscription={subscription} sink={subscription.sink} />;
}

function Known({ subscription, sink }: { subscription: Subscription; sink: Sink }) {
  const { t } = useTranslation('subscriptions');
  const { t: ts } = useTranslation('shared');
  const { match } = subscription;
  const list = (values: string[] | undefined) => (values?.length ? <code>{values.join(t('comma'))}</code> : undefined);
  const rows: Array<[string, ReactNode]> = [
    [t('sink.type'), t(`sink.${sink.type}.name`)],
    [sink.type === 'webhook' ? t('sink.url') : t('sink.addresses'), sink.url && <code>{sink.url}</code>],
    [t('sink.format'), sink.format && t(`sink.${sink.format}`)],
    [t('sink.subject'), sink.subject && <code>{sink.subject}</code>],
    [t('sink.exchange'), sink.exchange && <code>{sink.exchange}</code>],
    [t('sink.maxLen'), sink.max_len || undefined],
    [t('headers.title'), list(Object.entries(sink.headers ?? {}).map(([name, value]) => `${name}: ${value}`))],
    [t('answer.title'), sink.answer && <JsonView value={sink.answer} what={t('answer.title')} />],
    [t('match.kinds'), <Kinds key="kinds" kinds={match.kinds} all />],
    [t('match.components'), list(match.components) ?? ts('all')],
    [t('match.authorizers'), list(match.authorizers) ?? (match.tags?.length ? undefined : ts('all'))],
    [t('match.tags'), list(match.tags)],
    [t('match.contains'), list(match.contains)],
    [t('more.reply'), sink.type === 'webhook' ? ts(subscription.reply ? 'yes' : 'no') : undefined],
    [t('more.priority'), sink.type === 'answer' || subscription.reply ? String(subscription.priority) : undefined],
    ...(sink.type === 'answer'
      ? []
      : ([
          [t('more.ordered'), ts(subscription.ordered ? 'yes' : 'no')],
          [t('more.timeout'), sink.timeout || 15],
          [t('more.concurrency'), subscription.concurrency || 16],
          [t('more.maxAge'), (subscription.max_age || 259_200) / 3_600],
        ] as Array<[string, ReactNode]>)),
    ['ID', <code key="id">{subscription.id}</code>],
    [t('createdAt'), <Time key="created" at={subscription.created_at} exact />],
    [t('updatedAt'), <Time key="updated" at={subscription.updated_at} exact />],
  ];
  return (
    <section className="panel">
      <h2>{t('settings')}</h2>
      <dl>
        {rows
          .filter(([, value]) => value)
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </section>
  );
}
