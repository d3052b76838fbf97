import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

export function Done() {
  const { t } = useTranslation('setup');
  return (
    <div className="stack">
      <p>{t('done.intro')}</p>
      <p className="row">
        <Link className="t-button t-button--theme-primary t-button--variant-base t-size-m" to="/links">
          {t('done.links')}
        </Link>
        <Link to="/">{t('done.home')}</Link>
      </p>
    </div>
  );
}
