import { useTranslation } from 'react-i18next';
import { useApiQuery, type Reply } from '@/api/client';
import { Loading, ProblemNote, useLanguage } from '@/shared';

/** An errcode of WeChat's, as the API explains it. */
export type Errcode = NonNullable<Reply<'get', '/v1/errcodes/{code}'>>;

/** Reads what an errcode means; nothing for 0. */
export function useErrcode(code: number) {
  return useApiQuery('/v1/errcodes/{code}', { path: { code: String(code) } }, { enabled: code !== 0 });
}

/** What an errcode means, and what to do about it. */
export function Explanation({ code }: { code: number }) {
  const { t } = useTranslation('authorizers');
  const { language } = useLanguage();
  const read = useErrcode(code);
  if (!read.data) return read.error ? <ProblemNote error={read.error} retry={() => void read.refetch()} /> : <Loading />;
  const { known, meaning, meaning_zh, action, action_zh } = read.data;
  return (
    <dl>
      <div>
        <dt>{t('errcode.meaning')}</dt>
        <dd>{known ? (language === 'zh' ? meaning_zh : meaning) : t('errcode.unknown')}</dd>
      </div>
      <div>
        <dt>{t('errcode.action')}</dt>
        <dd>{language === 'zh' ? action_zh : action}</dd>
      </div>
    </dl>
  );
}
