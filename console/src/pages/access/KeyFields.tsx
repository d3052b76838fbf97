import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import { Field, FormErrors, useForm, useOperations } from '@/shared';
import { AccountFields, ListField } from './AccountFields';
import { lives, mistakesOf, unchanged, type KeyForm } from './keyForm';
import { OperationPicker } from './OperationPicker';

/** Makes a key, or changes one. */
export function KeyFields({
  draft,
  initial,
  action,
  onSubmit,
}: {
  draft: string;
  initial: KeyForm;
  action: string;
  onSubmit: (values: KeyForm) => Promise<unknown>;
}) {
  const { t } = useTranslation('access');
  const { reason } = useOperations();
  const form = useForm<KeyForm>({
    draft,
    initial,
    check: (values) => Object.fromEntries(Object.entries(mistakesOf(values)).map(([name, mistake]) => [name, t(`key.wrong.${mistake}`)])),
    submit: onSubmit,
  });
  const { values, set } = form;
  const gateway = values['scope.operations'].some((operation) => operation === 'gateway:call' || operation === '*');
  const choices = initial.expires_in === unchanged ? [unchanged, ...lives] : lives;
  const why = reason('keys:write');
  return (
    <form className="form panel access-form" noValidate onSubmit={form.submit}>
      <Field form={form} name="name" label={t('key.name')} hint={t('key.nameHint')} autocomplete="off" required />
      <OperationPicker form={form} />
      <AccountFields form={form} />
      {gateway && <ListField form={form} name="scope.paths" label={t('key.paths')} hint={t('key.pathsHint')} />}
      <ListField form={form} name="scope.networks" label={t('key.networks')} hint={t('key.networksHint')} />
      <Field form={form} name="scope.rate" label={t('key.rate')} hint={t('key.rateHint')} type="number" />
      <Field form={form} name="expires_in" label={t('key.life')} hint={t('key.lifeHint')}>
        {(control) => (
          <select {...control} value={values.expires_in} onChange={(event) => set('expires_in', Number(event.target.value))}>
            {choices.map((days) => (
              <option key={days} value={days}>
                {days === unchanged ? t('key.lifeUnchanged') : days === 0 ? t('key.lifeForever') : t('key.lifeDays', { count: days })}
              </option>
            ))}
          </select>
        )}
      </Field>
      <FormErrors form={form} />
      <div className="row">
        <Button tag="button" type="submit" loading={form.busy} disabled={!!why} {...(why ? { title: why } : {})}>
          {action}
        </Button>
        <Button variant="text" onClick={form.reset}>
          {t('startOver')}
        </Button>
      </div>
    </form>
  );
}
