import { useTranslation } from 'react-i18next';
import { useApiQuery } from '@/api/client';
import { Field, useOperations, type Form } from '@/shared';
import type { KeyForm } from './keyForm';

/** To which components and accounts a key is bound. */
export function AccountFields({ form }: { form: Form<KeyForm> }) {
  const { t } = useTranslation('access');
  const { may } = useOperations();
  const components = useApiQuery('/v1/components', {}, { enabled: may('components:read') });
  const { values, set } = form;
  const bound = values['scope.components'];
  const offered = [...new Set([...(components.data?.items.map(({ appid }) => appid) ?? []), ...bound])];
  const wrong = form.wrong('scope.components');
  return (
    <>
      {offered.length > 0 && (
        <fieldset className="access-choices" aria-describedby={wrong ? 'components-hint components-wrong' : 'components-hint'}>
          <legend>{t('key.components')}</legend>
          <p id="components-hint" className="hint">
            {t('key.componentsHint')}
          </p>
          {offered.map((appid) => (
            <label key={appid}>
              <input
                type="checkbox"
                checked={bound.includes(appid)}
                onChange={() => set('scope.components', bound.includes(appid) ? bound.filter((other) => other !== appid) : [...bound, appid])}
              />
              <code>{appid}</code>
            </label>
          ))}
          {wrong && (
            <p id="components-wrong" className="mistake" role="alert">
              {wrong}
            </p>
          )}
        </fieldset>
      )}
      <fieldset className="access-choices">
        <legend>{t('key.accounts')}</legend>
        {(['all', 'some'] as const).map((which) => (
          <label key={which}>
            <input type="radio" name="accounts" checked={values.accounts === which} onChange={() => set('accounts', which)} />
            <span>{t(`key.which.${which}`)}</span>
          </label>
        ))}
      </fieldset>
      {values.accounts === 'some' && (
        <>
          <ListField form={form} name="scope.authorizers" label={t('key.authorizers')} hint={t('key.authorizersHint')} />
          <ListField form={form} name="scope.tags" label={t('key.tags')} hint={t('key.tagsHint')} />
        </>
      )}
    </>
  );
}

type ListName = 'scope.authorizers' | 'scope.tags' | 'scope.paths' | 'scope.networks';

/** Several entries, one a line. */
export function ListField({ form, name, label, hint }: { form: Form<KeyForm>; name: ListName; label: string; hint: string }) {
  return (
    <Field form={form} name={name} label={label} hint={hint}>
      {(control) => <textarea {...control} rows={3} spellCheck={false} value={form.values[name]} onChange={(event) => form.set(name, event.target.value)} />}
    </Field>
  );
}
