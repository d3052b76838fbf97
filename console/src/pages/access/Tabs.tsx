import { useTranslation } from 'react-i18next';
import { NavLink } from 'react-router';
import { useOperations } from '@/shared';

/** Between the users, the API keys and the audit log: those that the session may see. */
export function Tabs() {
  const { t } = useTranslation('access');
  const { may } = useOperations();
  return (
    <nav className="access-tabs" aria-label={t('title')}>
      {may('users:read') && (
        <NavLink to="/access" end>
          {t('tabs.users')}
        </NavLink>
      )}
      <NavLink to="/access/keys">{t('tabs.keys')}</NavLink>
      {may('audit:read') && <NavLink to="/access/audit">{t('tabs.audit')}</NavLink>}
    </nav>
  );
}
