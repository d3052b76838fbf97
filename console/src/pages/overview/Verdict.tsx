import { CheckCircleFilledIcon, ErrorCircleFilledIcon, HelpCircleFilledIcon } from 'tdesign-icons-react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { Time } from '@/shared';
import type { OverviewData } from './Overview';

type Finding = 'unknown' | 'danger' | 'empty' | 'attention' | 'safe';

const icons = {
  unknown: <HelpCircleFilledIcon />,
  danger: <ErrorCircleFilledIcon />,
  empty: <HelpCircleFilledIcon />,
  attention: <ErrorCircleFilledIcon />,
  safe: <CheckCircleFilledIcon />,
} satisfies Record<Finding, React.ReactElement>;

function findingOf({ components, authorizers, alerts }: OverviewData): Finding {
  if (components.length === 0) return 'empty';
  if (alerts.some(({ severity }) => severity === 'critical')) return 'danger';
  if (authorizers.needs_reauthorization > 0 || alerts.some(({ severity }) => severity === 'warning')) return 'attention';
  return 'safe';
}

/** One line: whether authorizations are safe. */
export function Verdict({ overview, stale }: { overview: OverviewData; stale: boolean }) {
  const { t } = useTranslation('overview');
  const finding = stale ? 'unknown' : findingOf(overview);
  const { active, needs_reauthorization: waiting } = overview.authorizers;
  const critical = overview.alerts.filter(({ severity }) => severity === 'critical').length;
  const words = {
    unknown: t('verdict.unknown'),
    danger: t('verdict.danger', { count: critical }),
    empty: t('verdict.empty'),
    attention: waiting > 0 ? t('verdict.waiting', { count: waiting, active }) : t('verdict.attention', { count: active }),
    safe: t('verdict.safe', { count: active }),
  };
  return (
    <p className={`verdict ${finding}`} role="status">
      {icons[finding]}
      <strong>{words[finding]}</strong>
      {finding === 'empty' && <Link to="/components">{t('verdict.connect')}</Link>}
      {finding === 'unknown' && (
        <span>
          {t('verdict.asOf')} <Time at={overview.now} />
        </span>
      )}
    </p>
  );
}
