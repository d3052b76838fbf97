import { useTranslation } from 'react-i18next';
import { Field, type Form } from '@/shared';
import type { Values } from './values';

/** How events are delivered; what is empty is as by default. */
export function MoreFields({ form }: { form: Form<Values> }) {
  const { t } = useTranslation('subscriptions');
  const type = form.values['sink.type'];
  const replies = type === 'answer' || (type === 'webhook' && form.values.reply);
  const changed = [form.values['sink.timeout'], form.values.concurrency, form.values.max_age, form.values.priority].some(Boolean);
  const faulty = (['sink.timeout', 'concurrency', 'max_age', 'priority', 'ordered', 'reply'] as const).some((name) => form.wrong(name));
  return (
    <details className="subscriptions-part" open={changed || faulty || form.values.ordered || form.values.reply || type === 'answer'}>
      <summary>{t('more.title')}</summary>
      <div className="form">
        {type === 'webhook' && (
          <Field form={form} name="reply" label={t('more.reply')} hint={t('more.replyHint')}>
            {(control) => (
              <input {...control} type="checkbox" checked={form.values.reply} onChange={(event) => form.set('reply', event.target.checked)} />
            )}
          </Field>
        )}
        {replies && <Field form={form} name="priority" label={t('more.priority')} hint={t('more.priorityHint')} placeholder="0" />}
        {type !== 'answer' && (
          <>
            <Field form={form} name="ordered" label={t('more.ordered')} hint={t('more.orderedHint')}>
              {(control) => (
                <input {...control} type="checkbox" checked={form.values.ordered} onChange={(event) => form.set('ordered', event.target.checked)} />
              )}
            </Field>
            <Field form={form} name="sink.timeout" label={t('more.timeout')} hint={t('more.timeoutHint')} placeholder="15" />
            <Field form={form} name="concurrency" label={t('more.concurrency')} hint={t('more.concurrencyHint')} placeholder="16" />
            <Field form={form} name="max_age" label={t('more.maxAge')} hint={t('more.maxAgeHint')} placeholder="72" />
          </>
        )}
      </div>
    </details>
  );
}
