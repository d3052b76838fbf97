import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import type { Schema } from '@/api/client';
import { StateTag, useLanguage } from '@/shared';

/** What WeChat has just said about an authorization. */
export function Verified({ result, onClose }: { result: Schema<'Verification'>; onClose: () => void }) {
  const { t } = useTranslation('authorizers');
  const { language } = useLanguage();
  const problem = language === 'zh' ? (result.problem_zh ?? result.problem) : result.problem;
  const changed = result.changed.map((name) => t(`field.${name}`, { defaultValue: name })).join(language === 'zh' ? '、' : ', ');
  return (
    <div className="panel row">
      <StateTag state={problem ? 'error' : 'ok'} label={t(problem ? 'verified.bad' : 'verified.good')} />
      <span>{problem ?? t('verified.stands')}</span>
      <span>{changed ? t('verified.changed', { changed }) : t('verified.same')}</span>
      <Button size="small" variant="text" onClick={onClose}>
        {t('close')}
      </Button>
    </div>
  );
}
