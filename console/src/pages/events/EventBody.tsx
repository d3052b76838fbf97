import { Alert, Button } from 'tdesign-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schema } from '@/api/client';
import { JsonView, XmlView } from '@/shared';
import { deliverable } from './kinds';
import { Fields } from './Fields';

/** What an event says: its fields, or the text as it came. */
export function EventBody({ full }: { full: Schema<'FullEvent'> }) {
  const { t } = useTranslation('events');
  const [raw, setRaw] = useState(false);
  const json = full.body.trimStart().startsWith('{');
  const nothing = full.body === '' && Object.keys(full.fields).length === 0;
  return (
    <section className="panel">
      <div className="events-heading">
        <h2>{t('body.title')}</h2>
        {!nothing && (
          <div className="row" role="group" aria-label={t('body.view')}>
            <Button size="small" variant={raw ? 'outline' : 'base'} theme={raw ? 'default' : 'primary'} aria-pressed={!raw} onClick={() => setRaw(false)}>
              {t('body.fields')}
            </Button>
            <Button size="small" variant={raw ? 'base' : 'outline'} theme={raw ? 'primary' : 'default'} aria-pressed={raw} onClick={() => setRaw(true)}>
              {json ? 'JSON' : 'XML'}
            </Button>
          </div>
        )}
      </div>
      <p className="hint">{t('body.hint')}</p>
      {full.problem && <Alert theme="warning" message={t('body.problem', { problem: full.problem })} />}
      {nothing && <p>{t(deliverable(full.event.kind) ? 'body.withheld' : 'body.ticket')}</p>}
      {!nothing && !raw && <Fields fields={full.fields} />}
      {!nothing && raw && (json ? <JsonView value={full.body} what="JSON" /> : <XmlView xml={full.body} what="XML" />)}
    </section>
  );
}
