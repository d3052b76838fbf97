import { useTranslation } from 'react-i18next';
import { Field, type Form } from '@/shared';
import { ClearSecret } from './ClearSecret';
import { HeaderRows } from './HeaderRows';
import type { Subscription } from './subscription';
import type { Values } from './values';

export function WebhookFields({ form, before }: { form: Form<Values>; before?: Subscription }) {
  const { t } = useTranslation('subscriptions');
  const wechat = form.values['sink.format'] === 'wechat';
  const held = before?.secrets;
  return (
    <>
      <Field form={form} name="sink.url" label={t('sink.url')} hint={t('sink.webhook.url')} placeholder="https://crm.example.com/wechat" required monospace />
      <Field form={form} name="sink.format" label={t('sink.format')} hint={t(wechat ? 'sink.wechatHint' : 'sink.cloudeventsHint')}>
        {(control) => (
          <select {...control} value={form.values['sink.format']} onChange={(event) => form.set('sink.format', event.target.value as Values['sink.format'])}>
            <option value="cloudevents">{t('sink.cloudevents')}</option>
            <option value="wechat">{t('sink.wechat')}</option>
          </select>
        )}
      </Field>
      {wechat && (
        <>
          <Field
            form={form}
            name="secrets.token"
            label={t('secret.token')}
            hint={t(held?.token ? 'secret.kept' : 'secret.tokenHint')}
            type="password"
            autocomplete="off"
            required={!held?.token}
          />
          <Field
            form={form}
            name="secrets.encoding_aes_key"
            label={t('secret.aesKey')}
            hint={t(held?.encoding_aes_key ? 'secret.kept' : 'secret.aesKeyHint')}
            type="password"
            autocomplete="off"
            required={!held?.encoding_aes_key}
          />
        </>
      )}
      <Field form={form} name="sink.headers" label={t('headers.title')} hint={t('headers.hint')}>
        {(control) => <HeaderRows control={control} label={t('headers.title')} rows={form.values['sink.headers']} onChange={(rows) => form.set('sink.headers', rows)} />}
      </Field>
      <Field form={form} name="secrets.headers" label={t('headers.secret')} hint={t('headers.secretHint')}>
        {(control) => (
          <HeaderRows
            secret
            control={control}
            label={t('headers.secret')}
            rows={form.values['secrets.headers']}
            onChange={(rows) => form.set('secrets.headers', rows)}
          />
        )}
      </Field>
      {held?.headers.map((name) => (
        <ClearSecret key={name} form={form} name={`headers.${name}`} label={t('secret.clearHeader', { name })} />
      ))}
    </>
  );
}
