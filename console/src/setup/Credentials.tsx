import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import { call } from '@/api/client';
import { ProblemNote } from '@/shared/feedback';
import { Field, FormErrors, useForm } from '@/shared/form';
import { useOperations } from '@/shared/operations';
import type { Progress } from './progress';
import { randomAESKey, randomToken } from './random';

/** What WeChat's console shows of the component, and what it shall be told. */
export function Credentials({ progress }: { progress: Progress }) {
  const { t } = useTranslation('setup');
  const { may, reason } = useOperations();
  const form = useForm({
    draft: 'setup.component',
    initial: { appid: progress.appid, secret: '', token: '', encoding_aes_key: '' },
    secrets: ['secret', 'token', 'encoding_aes_key'],
    check: (values) => ({
      appid: /^wx[0-9a-zA-Z]{16}$/.test(values.appid.trim()) ? '' : t('component.appidShape'),
      secret: values.secret.trim() ? '' : t('component.secretNeeded'),
      token: /^[0-9a-zA-Z]{3,32}$/.test(values.token.trim()) ? '' : t('component.tokenShape'),
      encoding_aes_key: /^[0-9a-zA-Z]{43}$/.test(values.encoding_aes_key.trim())
        ? ''
        : t('component.keyShape', { count: values.encoding_aes_key.trim().length }),
    }),
    async submit(values) {
      const component = await call('post', '/v1/components', {
        body: {
          appid: values.appid.trim(),
          secret: values.secret.trim(),
          token: values.token.trim(),
          encoding_aes_key: values.encoding_aes_key.trim(),
        },
      });
      progress.setSecrets({ token: values.token.trim(), encodingAESKey: values.encoding_aes_key.trim() });
      progress.setAppID(component.appid);
      progress.go('addresses');
    },
  });
  if (!may('components:write')) return <ProblemNote error={new Error(reason('components:write'))} />;
  return (
    <form className="form" onSubmit={form.submit} noValidate>
      <p>{t('component.intro')}</p>
      <Field form={form} name="appid" label="AppID" hint={t('component.appidHint')} autocomplete="off" monospace required />
      <Field form={form} name="secret" label="AppSecret" hint={t('component.secretHint')} type="password" autocomplete="off" monospace required />
      <Field
        form={form}
        name="token"
        label={t('component.token')}
        hint={t('component.tokenHint')}
        autocomplete="off"
        monospace
        required
        suffix={
          <Button variant="outline" aria-label={t('component.generateToken')} onClick={() => form.set('token', randomToken())}>
            {t('component.generate')}
          </Button>
        }
      />
      <Field
        form={form}
        name="encoding_aes_key"
        label={t('component.key')}
        hint={t('component.keyHint')}
        autocomplete="off"
        monospace
        required
        suffix={
          <Button variant="outline" aria-label={t('component.generateKey')} onClick={() => form.set('encoding_aes_key', randomAESKey())}>
            {t('component.generate')}
          </Button>
        }
      />
      <FormErrors form={form} />
      <Button type="submit" loading={form.busy}>
        {t('component.submit')}
      </Button>
    </form>
  );
}
