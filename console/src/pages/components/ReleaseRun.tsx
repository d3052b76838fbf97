import { Button } from 'tdesign-react';
import { useMutation } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { invalidate, send, type Problem } from '@/api/client';
import { Duration, Loading, ProblemNote, StateTag, useOperations } from '@/shared';

interface ReleaseResult {
  passed: boolean;
  group: number;
  steps: Array<{ name: string; ok: boolean; detail: string; latency_ms: number }>;
}

const stepNames = ['ticket', 'authorized', 'text message', 'API message (official account)', 'API message (mini program)', 'event', 'one reply per message', 'unauthorized'];

/** Runs the check of the simulator, which does what WeChat's does. */
export function ReleaseRun({ appid }: { appid: string }) {
  const { t } = useTranslation('components');
  const { reason } = useOperations();
  const run = useMutation<ReleaseResult, Problem>({
    mutationFn: () => send<ReleaseResult>('POST', `/simulator/components/${appid}/release-check`, { body: {} }),
    onSettled: () => invalidate('/v1/events', '/v1/authorizers'),
  });
  const why = reason('authorizers:write');
  const result = run.data;
  return (
    <section className="panel" aria-labelledby="run">
      <h2 id="run">{t('release.run')}</h2>
      <p className="hint">{t('release.runExplain')}</p>
      <Button tag="button" loading={run.isPending} disabled={!!why} {...(why ? { title: why } : {})} onClick={() => run.mutate()}>
        {t(result ? 'release.runAgain' : 'release.runNow')}
      </Button>
      <div aria-live="polite">
        {run.isPending && <Loading />}
        <ProblemNote error={run.error} />
        {result && !run.isPending && (
          <>
            <p className="row components-verdict">
              <StateTag state={result.passed ? 'ok' : 'failed'} label={t(result.passed ? 'release.passed' : 'release.notPassed')} />
              {t('release.group', { group: result.group })}
            </p>
            <ol className="components-results">
              {result.steps.map((step, index) => (
                <li key={index}>
                  <StateTag state={step.ok ? 'ok' : 'failed'} label={t(step.ok ? 'release.stepPassed' : 'release.stepFailed')} />
                  <div>
                    <strong>{stepTitle(step.name, t)}</strong> <Duration ms={step.latency_ms} />
                    <p className="hint">{step.detail}</p>
                  </div>
                </li>
              ))}
            </ol>
          </>
        )}
      </div>
    </section>
  );
}

/** A step in the operator's words: "authorized (wx…)" names the account. */
function stepTitle(name: string, t: (key: string, values?: Record<string, string>) => string): string {
  const known = stepNames.find((step) => name === step || name.startsWith(`${step} (wx`));
  if (!known) return name;
  const account = name.slice(known.length).replace(/[() ]/g, '');
  return [t(`release.step.${known.replace(/[ ()]+/g, '_').replace(/_$/, '')}`), account].filter(Boolean).join(' · ');
}
