import { Button } from 'tdesign-react';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { call, type Schema } from '@/api/client';
import { useLanguage } from '@/i18n';
import { Loading, ProblemNote } from '@/shared/feedback';
import { StateTag } from '@/shared/StateTag';
import type { Progress } from './progress';

/** Examines the installation and shows the findings, with what to do about each. */
export function Doctor() {
  const { t } = useTranslation('setup');
  const { language } = useLanguage();
  const [diagnosis, setDiagnosis] = useState<Schema<'Report'>>();
  const [error, setError] = useState<unknown>();
  const [round, setRound] = useState(0);
  useEffect(() => {
    let current = true;
    setDiagnosis(undefined);
    setError(undefined);
    call('post', '/v1/doctor').then(
      (found) => current && setDiagnosis(found),
      (problem: unknown) => current && setError(problem),
    );
    return () => {
      current = false;
    };
  }, [round]);
  const again = () => setRound(round + 1);
  if (error) return <ProblemNote error={error} retry={again} />;
  if (!diagnosis) return <Loading />;
  return (
    <div className="stack">
      <p role="status">{t(verdict(diagnosis))}</p>
      <ul className="setup-checks">
        {diagnosis.checks.map((check) => {
          const [detail, action] = language === 'zh' ? [check.detail_zh, check.action_zh] : [check.detail, check.action];
          return (
            <li key={check.name}>
              <p className="row">
                <StateTag state={check.status} />
                <strong>{check.name}</strong>
              </p>
              <p>{detail}</p>
              {action && <p className="hint">{t('doctor.action', { action })}</p>}
            </li>
          );
        })}
      </ul>
      <div>
        <Button variant="outline" onClick={again}>
          {t('doctor.again')}
        </Button>
      </div>
    </div>
  );
}

function verdict({ ok, checks }: Schema<'Report'>) {
  if (!ok) return 'doctor.notOK';
  return checks.some((check) => check.status === 'warning') ? 'doctor.warned' : 'doctor.ok';
}

export function DoctorStep({ progress }: { progress: Progress }) {
  const { t } = useTranslation('setup');
  return (
    <div className="stack">
      <Doctor />
      <div className="row">
        <Button variant="outline" onClick={() => progress.go('ticket')}>
          {t('back')}
        </Button>
        <Button onClick={() => progress.go('done')}>{t('doctor.next')}</Button>
      </div>
    </div>
  );
}
