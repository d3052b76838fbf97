import { useTranslation } from 'react-i18next';
import { failureOf } from './failure';
import './style.css';

/** Why an attempt failed: in words, what helps, and as it was said. */
export function FailureText({ status, error }: { status: number; error: string }) {
  const { t } = useTranslation('events');
  const failure = failureOf({ status, error });
  if (failure === 'none') return <span>{t('failure.none')}</span>;
  return (
    <div className="events-failure">
      <p>
        {t(`failure.${failure}.what`)} <span className="hint">{t(`failure.${failure}.help`)}</span>
      </p>
      <code>{error}</code>
    </div>
  );
}
