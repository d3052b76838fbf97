import type { Schema } from '@/api/client';

export type Sink = Schema<'Sink'>;
export type SinkType = Sink['type'];
export type Answer = Schema<'Reply'>;

/** A subscription as the API shows it. One that a later version has written has no sink here. */
export type Subscription = Schema<'Subscription'>;

export const sinkTypes: SinkType[] = ['webhook', 'nats', 'kafka', 'rabbitmq', 'redis', 'answer'];

/** Whether its deliveries carry signatures of Standard Webhooks. */
export function signed(sink?: Pick<Sink, 'type' | 'format'>): boolean {
  return sink?.type === 'webhook' && sink?.format !== 'wechat';
}

/** Where it leads to, without what may be secret. */
export function destination(sink?: Sink): string {
  return (sink?.url ?? '').split('?')[0]!;
}
