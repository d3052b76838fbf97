import { useTranslation } from 'react-i18next';
import { Field, type Form } from '@/shared';
import { AnswerFields } from './AnswerFields';
import { BrokerFields } from './BrokerFields';
import { sinkTypes, type SinkType, type Subscription } from './subscription';
import type { Values } from './values';
import { WebhookFields } from './WebhookFields';

/** Where events go. Only what means something for the type chosen is asked. */
export function SinkFields({ form, before }: { form: Form<Values>; before?: Subscription }) {
  const { t } = useTranslation('subscriptions');
  const type = form.values['sink.type'];
  return (
    <fieldset className="subscriptions-part form">
      <legend>{t('sink.title')}</legend>
      <Field form={form} name="sink.type" label={t('sink.type')} hint={t(`sink.${type}.hint`)} required>
        {(control) => (
          <select {...control} value={type} onChange={(event) => form.set('sink.type', event.target.value as SinkType)}>
            {sinkTypes.map((other) => (
              <option key={other} value={other}>
                {t(`sink.${other}.name`)}
              </option>
            ))}
          </select>
        )}
      </Field>
      {type === 'webhook' && <WebhookFields form={form} before={before} />}
      {type === 'answer' && <AnswerFields form={form} />}
      {type !== 'webhook' && type !== 'answer' && <BrokerFields form={form} type={type} before={before} />}
    </fieldset>
  );
}
