import { useTranslation } from 'react-i18next';
import { Field, type Form } from '@/shared';
import { ClearSecret } from './ClearSecret';
import type { SinkType, Subscription } from './subscription';
import type { Values } from './values';

export type Broker = Exclude<SinkType, 'webhook' | 'answer'>;

const addresses: Record<Broker, string> = {
  nats: 'nats://n1.internal:4222,nats://n2.internal:4222',
  kafka: 'kafka://k1.internal:9092,k2.internal:9092',
  rabbitmq: 'amqps://mq.internal:5671/vhost',
  redis: 'rediss://redis.internal:6379/0',
};

const subjects: Record<Broker, string> = {
  nats: 'tuoguan.{component}.{authorizer}',
  kafka: 'tuoguan',
  rabbitmq: 'tuoguan.{component}.{authorizer}',
  redis: 'tuoguan',
};

export function BrokerFields({ form, type, before }: { form: Form<Values>; type: Broker; before?: Subscription }) {
  const { t } = useTranslation('subscriptions');
  const held = before?.sink?.type === type ? before.secrets : undefined;
  return (
    <>
      <Field form={form} name="sink.url" label={t('sink.addresses')} hint={t(`sink.${type}.url`)} placeholder={addresses[type]} required monospace />
      <Field
        form={form}
        name="sink.subject"
        label={t(`sink.${type}.subject`)}
        hint={t('sink.subjectHint', { byDefault: subjects[type] })}
        placeholder={subjects[type]}
        monospace
      />
      {type === 'rabbitmq' && <Field form={form} name="sink.exchange" label={t('sink.exchange')} hint={t('sink.exchangeHint')} monospace />}
      {type === 'redis' && <Field form={form} name="sink.max_len" label={t('sink.maxLen')} hint={t('sink.maxLenHint')} />}
      <Field form={form} name="secrets.user" label={t('secret.user')} hint={held?.user ? t('secret.kept') : undefined} autocomplete="off" />
      {held?.user && <ClearSecret form={form} name="user" label={t('secret.clearUser')} />}
      <Field
        form={form}
        name="secrets.password"
        label={t('secret.password')}
        hint={held?.password ? t('secret.kept') : t('secret.passwordHint')}
        type="password"
        autocomplete="new-password"
      />
      {held?.password && <ClearSecret form={form} name="password" label={t('secret.clearPassword')} />}
    </>
  );
}
