import { useTranslation } from 'react-i18next';
import { NavLink } from 'react-router';

/** Between the tail and the dead letters. */
export function Tabs() {
  const { t } = useTranslation('events');
  return (
    <nav className="events-tabs" aria-label={t('title')}>
      <NavLink to="/events" end>
        {t('tabs.tail')}
      </NavLink>
      <NavLink to="/events/dead-letters">{t('tabs.dead')}</NavLink>
    </nav>
  );
}
