import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { JsonView } from '@/shared';
import { curl } from './curl';
import type { Endpoint, Target } from './endpoint';
import { goProgram } from './go';
import type { Query } from './QueryFields';
import { Switch } from './Switch';

/** The same call without the console. */
export function Code({ endpoint, target, query, body }: { endpoint: Endpoint; target: Target; query: Query; body: string | undefined }) {
  const { t } = useTranslation('explorer');
  const [language, setLanguage] = useState<'curl' | 'go'>('curl');
  const text = (language === 'curl' ? curl : goProgram)(endpoint, target, query, body);
  return (
    <section className="panel">
      <div className="explorer-heading">
        <h2>{t('code.title')}</h2>
        <Switch label={t('code.title')} value={language} options={[{ value: 'curl', label: 'curl' }, { value: 'go', label: 'Go' }]} onChange={setLanguage} />
      </div>
      <p className="hint">{t(language === 'curl' ? 'code.curlHint' : 'code.goHint')}</p>
      <JsonView value={text} what={language === 'curl' ? 'curl' : 'Go'} />
    </section>
  );
}
