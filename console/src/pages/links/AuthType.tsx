import { useTranslation } from 'react-i18next';
import type { Form } from '@/shared';
import { authTypes, type LinkForm } from './linkForm';

/** Which kinds of account WeChat's page offers, each explained. */
export function AuthType({ form }: { form: Form<LinkForm> }) {
  const { t } = useTranslation('links');
  const wrong = form.wrong('auth_type');
  return (
    <fieldset className="choices" aria-describedby={wrong ? 'auth-type-wrong' : undefined}>
      <legend>{t('authType')}</legend>
      {authTypes.map((type) => (
        <label key={type}>
          <input type="radio" name="auth_type" value={type} checked={form.values.auth_type === type} onChange={() => form.set('auth_type', type)} />
          <span>
            {t(`type.${type}.name`)} <span className="hint">{t(`type.${type}.hint`)}</span>
          </span>
        </label>
      ))}
      {wrong && (
        <p id="auth-type-wrong" className="mistake" role="alert">
          {wrong}
        </p>
      )}
    </fieldset>
  );
}
