import { Alert, Button } from 'tdesign-react';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { useApiMutation } from '@/api/client';
import { FailureText } from '@/pages/events/FailureText';
import { Dialog, Duration, Loading, ProblemNote } from '@/shared';

/** Sends a sample now, and tells what became of it. */
export function TestDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const { t } = useTranslation('subscriptions');
  const { t: ts } = useTranslation('shared');
  const test = useApiMutation('post', '/v1/subscriptions/{id}/test');
  const run = () => test.mutate({ params: { path: { id } } });
  const begun = useRef(false);
  useEffect(() => {
    if (begun.current) return;
    begun.current = true;
    run();
  });
  return (
    <Dialog
      title={t('test.action')}
      onClose={onClose}
      footer={
        <>
          <Button variant="outline" loading={test.isPending} onClick={run}>
            {t('test.again')}
          </Button>
          <Button onClick={onClose}>{ts('close')}</Button>
        </>
      }
    >
      <p>{t('test.explain')}</p>
      <div aria-live="polite">
        <TestResult test={test} />
      </div>
    </Dialog>
  );
}

type Test = ReturnType<typeof useApiMutation<'post', '/v1/subscriptions/{id}/test'>>;

/** The result of a test in words. */
export function TestResult({ test }: { test: Test }) {
  const { t } = useTranslation('subscriptions');
  if (test.isPending) return <Loading />;
  if (test.error) return <ProblemNote error={test.error} />;
  if (!test.data) return null;
  const { delivered, status, latency_ms, error } = test.data;
  return (
    <Alert
      theme={delivered ? 'success' : 'error'}
      title={t(delivered ? 'test.delivered' : 'test.failed')}
      message={
        <>
          {!delivered && <FailureText status={status} error={error} />}
          <p>
            {status > 0 && t('test.status', { status })} {t('test.took')} <Duration ms={latency_ms} />
          </p>
        </>
      }
    />
  );
}
