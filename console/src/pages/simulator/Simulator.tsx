import { useTranslation } from 'react-i18next';
import { Link, useSearchParams } from 'react-router';
import { PageHeader } from '@/shared';
import { ClockPanel } from './ClockPanel';
import { Faults } from './Faults';
import { Healing } from './Healing';
import { JournalTail } from './JournalTail';
import { Phone } from './Phone';
import './style.css';

const sections = { phone: Phone, healing: Healing, faults: Faults, clock: ClockPanel, journal: JournalTail };

type Section = keyof typeof sections;

/** The simulated WeChat of a demonstration: ?section= says what is shown. */
export default function Simulator() {
  const { t } = useTranslation('simulator');
  const [search] = useSearchParams();
  const asked = search.get('section') ?? '';
  const section: Section = asked in sections ? (asked as Section) : 'phone';
  const Content = sections[section];
  return (
    <div className="stack simulator">
      <PageHeader title={t('title')} note={t('note')} />
      <nav className="simulator-tabs" aria-label={t('title')}>
        {(Object.keys(sections) as Section[]).map((name) => (
          <Link key={name} to={`/demo?section=${name}`} replace aria-current={name === section ? 'page' : undefined}>
            {t(`section.${name}`)}
          </Link>
        ))}
      </nav>
      <Content />
    </div>
  );
}
