import { Button } from 'tdesign-react';
import { useId, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Duration, Loading, notify, ProblemNote, Time, useOperations } from '@/shared';
import { JournalList } from './JournalTail';
import { useClock, useControl, type Clock } from './platform';

const strides = [10, 120];

/** WeChat's clock, and the server's with it: forwards only. */
export function ClockPanel() {
  const { t } = useTranslation('simulator');
  const { reason } = useOperations();
  const field = useId();
  const [minutes, setMinutes] = useState('30');
  const clock = useClock();
  const advance = useControl<Clock>();
  const why = reason('authorizers:write');
  const go = (by: number) =>
    advance.mutate({ path: '/clock', body: { advance: `${by}m` } }, { onSuccess: () => notify('success', t('clock.advanced', { minutes: by })), onError: notify });
  const custom = Number(minutes);
  const wrong = !Number.isInteger(custom) || custom < 1 || custom > 100_000;
  if (!clock.data) return clock.error ? <ProblemNote error={clock.error} retry={() => void clock.refetch()} /> : <Loading />;
  const refused = { disabled: why !== undefined, ...(why ? { title: why } : {}) };
  return (
    <>
      <p>{t('clock.explain')}</p>
      <section className="panel stack" aria-labelledby="clock">
        <h2 id="clock">{t('clock.title')}</h2>
        <p role="status">
          {t('clock.now')} <strong><Time at={clock.data.now} exact /></strong> · {t('clock.ahead')} <Duration seconds={clock.data.offset_seconds} />
        </p>
        <div className="row">
          {strides.map((by) => (
            <Button key={by} variant="outline" loading={advance.isPending} {...refused} onClick={() => go(by)}>
              {t(`clock.by.${by}`)}
            </Button>
          ))}
        </div>
        <form
          className="row field"
          onSubmit={(event) => {
            event.preventDefault();
            if (!wrong) go(custom);
          }}
        >
          <label htmlFor={field}>{t('clock.minutes')}</label>
          <input id={field} type="number" min={1} value={minutes} aria-invalid={wrong} aria-describedby={wrong ? `${field}-wrong` : undefined} onChange={(event) => setMinutes(event.target.value)} />
          <Button type="submit" variant="outline" loading={advance.isPending} {...refused}>
            {t('clock.advance')}
          </Button>
          {wrong && (
            <p id={`${field}-wrong`} className="mistake">
              {t('clock.wrong')}
            </p>
          )}
        </form>
        <h3>{t('clock.then')}</h3>
        <ul>
          <li>{t('clock.tenMinutes')}</li>
          <li>{t('clock.twoHours')}</li>
          <li>{t('clock.weeks')}</li>
        </ul>
      </section>
      <section className="panel" aria-labelledby="happened">
        <h2 id="happened">{t('clock.happened')}</h2>
        <JournalList kinds={['issue', 'push']} />
      </section>
    </>
  );
}
