import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import { useApiMutation, useApiQuery, type Schema } from '@/api/client';
import { AccountPicker } from '@/pages/events/AccountPicker';
import { KindInput } from '@/pages/events/Filters';
import { fromLocal } from '@/pages/events/localTime';
import { Dialog, Field, FormErrors, useForm, useOperations } from '@/shared';

interface Values {
  what: 'dead' | 'filter';
  since: string;
  until: string;
  kind: string;
  component: string;
  authorizer: string;
}

const parts = ['since', 'until', 'kind', 'component', 'authorizer'] as const;

/** Has dead letters, or a part of all events, delivered again. */
export function ReplayDialog({ id, onStarted, onClose }: { id: string; onStarted: (job: string) => void; onClose: () => void }) {
  const { t } = useTranslation('subscriptions');
  const { t: ts } = useTranslation('shared');
  const { may } = useOperations();
  const components = useApiQuery('/v1/components', {}, { enabled: may('components:read') });
  const replay = useApiMutation('post', '/v1/subscriptions/{id}/replay', { invalidates: ['/v1/deliveries', '/v1/subscriptions'] });
  const form = useForm<Values>({
    draft: `replay.${id}`,
    initial: { what: 'dead', since: '', until: '', kind: '', component: '', authorizer: '' },
    check: (values) => ({ since: values.what === 'filter' && parts.every((part) => values[part] === '') ? t('replay.something') : undefined }),
    submit: async (values) => {
      const job = await replay.mutateAsync({ params: { path: { id } }, body: bodyOf(values) });
      onStarted(job.id);
      onClose();
    },
  });
  const { values } = form;
  return (
    <Dialog
      title={t('replay.action')}
      onClose={onClose}
      footer={
        <>
          <Button variant="outline" theme="default" onClick={onClose}>
            {ts('cancel')}
          </Button>
          <Button loading={form.busy} onClick={() => form.submit()}>
            {t('replay.begin')}
          </Button>
        </>
      }
    >
      <p className="hint">{t('replay.hint')}</p>
      <Field form={form} name="what" label={t('replay.what')}>
        {(control) => (
          <select {...control} value={values.what} onChange={(event) => form.set('what', event.target.value as Values['what'])}>
            <option value="dead">{t('replay.dead')}</option>
            <option value="filter">{t('replay.filter')}</option>
          </select>
        )}
      </Field>
      {values.what === 'filter' && (
        <>
          {(['since', 'until'] as const).map((name) => (
            <Field key={name} form={form} name={name} label={t(`replay.${name}`)}>
              {(control) => (
                <input {...control} type="datetime-local" value={values[name]} onChange={(event) => form.set(name, event.target.value)} />
              )}
            </Field>
          ))}
          <Field form={form} name="kind" label={t('deliveries.kind')}>
            {(control) => <KindInput id={control.id} value={values.kind} onChange={(kind) => form.set('kind', kind)} />}
          </Field>
          <Field form={form} name="component" label={t('match.components')}>
            {(control) => (
              <select {...control} value={values.component} onChange={(event) => form.set('component', event.target.value)}>
                <option value="">{ts('all')}</option>
                {components.data?.items.map(({ appid }) => (
                  <option key={appid} value={appid}>
                    {appid}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <Field form={form} name="authorizer" label={t('match.authorizers')}>
            {(control) => <AccountPicker {...control} value={values.authorizer} onChoose={(appid) => form.set('authorizer', appid)} />}
          </Field>
        </>
      )}
      <FormErrors form={form} />
    </Dialog>
  );
}

function bodyOf({ what, since, until, kind, component, authorizer }: Values): Schema<'ReplayBody'> {
  if (what === 'dead') return { dead: true };
  const given = { since: fromLocal(since), until: fromLocal(until), kind, component, authorizer };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ''));
}
