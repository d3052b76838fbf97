import { useContext, useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { Preferences } from '@/layout/Preferences';
import { SessionContext, type Session } from '@/session/session';
import { Loading } from '@/shared/feedback';
import { PageHeader } from '@/shared/PageHeader';
import { Addresses } from './Addresses';
import { Administrator } from './Administrator';
import { Credentials } from './Credentials';
import { Done } from './Done';
import { DoctorStep } from './Doctor';
import { SecondFactor } from './SecondFactor';
import { steps, useProgress, type Progress, type Step } from './progress';
import { Ticket } from './Ticket';
import './style.css';

/** The first run: from the token in the log to a component that WeChat talks to. */
export default function Setup() {
  const { t } = useTranslation('setup');
  const session = useContext(SessionContext);
  const progress = useProgress(session);
  const step = due(session, progress);
  const place = steps.indexOf(step);
  useEffect(() => {
    document.getElementById('setup-step')?.focus();
  }, [step]);
  return (
    <div className="setup">
      <header className="top">
        <span className="brand">
          <img src="/console/icon.svg" alt="" width="24" height="24" />
          {t('app')}
        </span>
        <div className="top-end">
          <Preferences />
        </div>
      </header>
      <main>
        <PageHeader title={t('title')} note={t('intro')} />
        <ol className="setup-steps" aria-label={t('steps')}>
          {steps.map((name, i) => (
            <li key={name} className={i < place ? 'past' : undefined} aria-current={name === step ? 'step' : undefined}>
              {t(`${name}.step`)}
            </li>
          ))}
        </ol>
        <section className="panel" aria-labelledby="setup-step">
          <h2 id="setup-step" tabIndex={-1}>
            {t(`${step}.title`)}
          </h2>
          {progress.ready ? <StepOf step={step} progress={progress} /> : <Loading />}
        </section>
      </main>
    </div>
  );
}

/** What has to be done first comes first, wherever the operator had been. */
function due(session: Session | null, { step }: Progress): Step {
  if (!session) return 'administrator';
  if (session.must.includes('totp')) return 'totp';
  if (step === 'administrator' || (step === 'totp' && session.user.totp)) return session.user.totp ? 'component' : 'totp';
  return step;
}

function StepOf({ step, progress }: { step: Step; progress: Progress }) {
  switch (step) {
    case 'administrator':
      return <Administrator />;
    case 'totp':
      return <SecondFactor progress={progress} />;
    case 'component':
      return <Credentials progress={progress} />;
    case 'addresses':
      return <Addresses progress={progress} />;
    case 'ticket':
      return <Ticket progress={progress} />;
    case 'doctor':
      return <DoctorStep progress={progress} />;
    case 'done':
      return <Done />;
  }
}
