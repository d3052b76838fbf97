import { useTranslation } from 'react-i18next';
import { useApiQuery } from '@/api/client';
import { Copy, ProblemNote, Time } from '@/shared';

/** The end of the chain of records, and what to do with it. */
export function AuditHead() {
  const { t } = useTranslation('access');
  const read = useApiQuery('/v1/audit/head', {}, { refetchInterval: 5_000 });
  const head = read.data;
  return (
    <section className="panel access-head" aria-labelledby="head">
      <h2 id="head">{t('head.title')}</h2>
      <ProblemNote error={read.error} retry={() => void read.refetch()} />
      {head && head.seq === 0 && <p>{t('head.none')}</p>}
      {head && head.seq > 0 && (
        <p className="row">
          <span>{t('head.seq', { seq: head.seq })}</span>
          <Time at={head.at} />
          <code>{head.hash}</code>
          <Copy text={`${head.seq} ${head.hash}`} what={t('head.what')} />
        </p>
      )}
      <p className="hint">{t('head.explain')}</p>
    </section>
  );
}
