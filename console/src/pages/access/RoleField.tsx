import { useTranslation } from 'react-i18next';
import { roles, useRefusal, type Role } from './user';

/** Chooses a role; each says in one line what it may do. */
export function RoleField({ value, wrong, onChange }: { value: Role; wrong: string | undefined; onChange: (role: Role) => void }) {
  const { t } = useTranslation('access');
  const refusal = useRefusal();
  return (
    <fieldset className="access-choices" aria-describedby={wrong ? 'role-wrong' : undefined}>
      <legend>{t('user.role')}</legend>
      {roles.map((role) => {
        const why = refusal(role);
        return (
          <label key={role} {...(why ? { title: why } : {})}>
            <input type="radio" name="role" value={role} checked={value === role} disabled={why !== undefined} onChange={() => onChange(role)} />
            <span>
              {t(`role.${role}.name`)} <span className="hint">{t(`role.${role}.may`)}</span>
            </span>
          </label>
        );
      })}
      {wrong && (
        <p id="role-wrong" className="mistake" role="alert">
          {wrong}
        </p>
      )}
    </fieldset>
  );
}
