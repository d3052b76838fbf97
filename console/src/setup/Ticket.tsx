import { Button, Loading as Spinner } from 'tdesign-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useApiQuery } from '@/api/client';
import { ProblemNote } from '@/shared/feedback';
import { Duration, Time, useNow } from '@/shared/Time';
import { StateTag } from '@/shared/StateTag';
import type { Progress } from './progress';

const patience = 60_000;

/** Waits until WeChat has pushed its first ticket, and says what may be wrong if it has not. */
export function Ticket({ progress }: { progress: Progress }) {
  const { t } = useTranslation('setup');
  const [since] = useState(Date.now);
  const waited = useNow() - since;
  const component = useApiQuery('/v1/components/{appid}', { path: { appid: progress.appid } }, { refetchInterval: 3_000 });
  const received = component.data?.ticket_received_at;
  const late = !received && waited > patience;
  const overview = useApiQuery('/v1/overview', undefined, { enabled: late, refetchInterval: 10_000 });
  const refused = overview.data?.last_five_minutes.pushes_refused ?? 0;
  return (
    <div className="stack">
      <div aria-live="polite">
        {received ? (
          <p className="row">
            <StateTag state="ok" label={t('ticket.received')} />
            <Time at={received} />
          </p>
        ) : (
          <p className="row">
            <Spinner size="small" />
            {t('ticket.waiting')}
          </p>
        )}
      </div>
      {!received && (
        <p className="hint">
          {t('ticket.waited')} <Duration seconds={Math.max(0, Math.floor(waited / 1_000))} />
        </p>
      )}
      <ProblemNote error={component.error} retry={() => void component.refetch()} />
      {component.data?.problem && !received && <p className="hint">{component.data.problem}</p>}
      {late && (
        <div>
          <h3>{t(refused > 0 ? 'ticket.refused' : 'ticket.silent')}</h3>
          <ul>
            {(refused > 0 ? ['token', 'key', 'appid'] : ['often', 'url', 'reachable', 'approved', 'stopped']).map((hint) => (
              <li key={hint}>{t(`ticket.hint.${hint}`)}</li>
            ))}
          </ul>
        </div>
      )}
      <div className="row">
        <Button variant="outline" onClick={() => progress.go('addresses')}>
          {t('back')}
        </Button>
        <Button onClick={() => progress.go('doctor')} variant={received ? 'base' : 'outline'}>
          {t(received ? 'ticket.next' : 'ticket.nextAnyway')}
        </Button>
      </div>
    </div>
  );
}
