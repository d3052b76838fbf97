import { Button, Progress } from 'tdesign-react';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { call, queryClient, type Problem, type Schema } from '@/api/client';
import { AppID } from './AppID';
import { Dialog } from './Dialog';
import { Loading, ProblemNote } from './feedback';
import { StateTag } from './StateTag';

/** Follows a job to its end. Closing leaves the job running. */
export function ProgressDialog({ id, title, onClose }: { id: string; title: string; onClose: () => void }) {
  const { t } = useTranslation('shared');
  const params = { path: { id } };
  const key = ['/v1/jobs/{id}', params];
  const read = useQuery<Schema<'Job'>, Problem>({
    queryKey: key,
    queryFn: ({ signal }) => call('get', '/v1/jobs/{id}', { params, signal }),
    refetchInterval: ({ state }) => (!state.data || state.data.state === 'running' ? 1_000 : false),
  });
  const job = read.data;
  const running = !job || job.state === 'running';
  const percent = job ? (job.total > 0 ? Math.floor((job.done / job.total) * 100) : running ? 0 : 100) : 0;
  const cancel = async () => queryClient.setQueryData(key, await call('post', '/v1/jobs/{id}/cancel', { params }));
  return (
    <Dialog
      title={title}
      onClose={onClose}
      footer={
        <>
          {running && (
            <Button theme="danger" variant="outline" onClick={() => void cancel().catch(() => read.refetch())}>
              {t('job.cancel')}
            </Button>
          )}
          <Button onClick={onClose}>{t('close')}</Button>
        </>
      }
    >
      <ProblemNote error={read.error} retry={() => void read.refetch()} />
      {!job && !read.error && <Loading />}
      {job && (
        <>
          <div role="progressbar" aria-label={title} aria-valuemin={0} aria-valuemax={100} aria-valuenow={percent}>
            <Progress percentage={percent} status={job.state === 'failed' ? 'error' : running ? 'active' : 'success'} />
          </div>
          <p className="row" aria-live="polite">
            <StateTag state={job.state} />
            <span>{t('job.progress', { done: job.done, total: job.total })}</span>
            {job.failed > 0 && <span>{t('job.failed', { failed: job.failed })}</span>}
          </p>
          {job.problem && <p className="mistake">{job.problem}</p>}
          {running && <p className="hint">{t('job.background')}</p>}
          {job.failures.length > 0 && (
            <>
              <h3>{t('job.failures')}</h3>
              <ul className="failures">
                {job.failures.map((failure) => (
                  <li key={`${failure.component_appid} ${failure.appid}`}>
                    <AppID id={failure.appid} /> {failure.problem}
                  </li>
                ))}
              </ul>
              {job.failed > job.failures.length && <p className="hint">{t('job.more')}</p>}
            </>
          )}
        </>
      )}
    </Dialog>
  );
}
