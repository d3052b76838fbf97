import { useTranslation } from 'react-i18next';
import type { Schema } from '@/api/client';
import { Duration, Time } from '@/shared';
import { FailureText } from './FailureText';
import './style.css';

/** The attempts of a delivery, the oldest first. */
export function Attempts({ log, label }: { log: Array<Schema<'Attempt'>>; label: string }) {
  const { t } = useTranslation('events');
  if (log.length === 0) return <p className="hint">{t('attempts.none')}</p>;
  return (
    <div className="events-scroll" tabIndex={0} role="group" aria-label={label}>
      <table className="events-table">
        <thead>
          <tr>
            <th scope="col">{t('attempts.number')}</th>
            <th scope="col">{t('attempts.at')}</th>
            <th scope="col">{t('attempts.status')}</th>
            <th scope="col">{t('attempts.took')}</th>
            <th scope="col">{t('attempts.result')}</th>
          </tr>
        </thead>
        <tbody>
          {log.map((attempt, i) => (
            <tr key={`${attempt.at} ${i}`}>
              <td>{i + 1}</td>
              <td>
                <Time at={attempt.at} exact />
              </td>
              <td>{attempt.status === 0 ? '—' : attempt.status}</td>
              <td>
                <Duration ms={attempt.latency_ms} />
              </td>
              <td>
                <FailureText status={attempt.status} error={attempt.error} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
