import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import type { Schema } from '@/api/client';
import { Field, FormErrors, useForm } from '@/shared';
import { MatchFields } from './MatchFields';
import { MoreFields } from './MoreFields';
import { SinkFields } from './SinkFields';
import type { Subscription } from './subscription';
import { bodyOf, mistakesOf, secretValues, valuesOf } from './values';

/** Makes a subscription, or changes one. */
export function SubscriptionForm({
  before,
  action,
  onSubmit,
  onCancel,
}: {
  before?: Subscription;
  action: string;
  onSubmit: (body: Schema<'SubscriptionBody'>) => Promise<unknown>;
  onCancel: () => void;
}) {
  const { t } = useTranslation('subscriptions');
  const { t: ts } = useTranslation('shared');
  const form = useForm({
    draft: `subscription.${before?.id ?? 'new'}`,
    initial: valuesOf(before),
    secrets: secretValues,
    check: (values) => Object.fromEntries(Object.entries(mistakesOf(values)).map(([name, mistake]) => [name, t(`wrong.${mistake}`)])),
    submit: (values) => onSubmit(bodyOf(values)),
  });
  return (
    <form className="form subscriptions-form" noValidate onSubmit={form.submit}>
      <Field form={form} name="name" label={t('name')} hint={t('nameHint')} required />
      <SinkFields form={form} before={before} />
      <MatchFields form={form} />
      <MoreFields form={form} />
      <FormErrors form={form} />
      <div className="row">
        <Button type="submit" loading={form.busy}>
          {action}
        </Button>
        <Button
          variant="outline"
          theme="default"
          onClick={() => {
            form.reset();
            onCancel();
          }}
        >
          {ts('cancel')}
        </Button>
      </div>
    </form>
  );
}
