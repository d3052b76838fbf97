import { Alert, Button, Loading as Spinner } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import type { ReactNode } from 'react';
import { Problem } from '@/api/problem';

export function Loading() {
  const { t } = useTranslation('shared');
  return (
    <div className="loading" role="status">
      <Spinner size="small" text={t('loading')} />
    </div>
  );
}

export function Empty({ children }: { children: ReactNode }) {
  return <p className="empty">{children}</p>;
}

/** What went wrong, what helps, and a button to try again. Shows nothing without an error. */
export function ProblemNote({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t } = useTranslation('shared');
  if (!error) return null;
  const problem = error instanceof Problem ? error : undefined;
  return (
    <div role="alert">
      <Alert
        theme="error"
        className="problem"
        message={
          <>
            <span>{problem?.detail ?? t('error.title')}</span>
            {problem?.errcode !== undefined && <span>{t('error.errcode', { errcode: problem.errcode })}</span>}
            {problem?.rid && <span>{t('error.rid', { rid: problem.rid })}</span>}
            {retry && (
              <Button size="small" variant="outline" onClick={retry}>
                {t('retry')}
              </Button>
            )}
          </>
        }
      />
    </div>
  );
}
