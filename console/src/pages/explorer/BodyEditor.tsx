import { useId, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Parsed } from './CallForm';
import { writeJson } from './exact';
import { BodyContext } from './form';
import { NodeFields } from './NodeField';
import { Switch } from './Switch';
import type { Node } from './tree';
import { withValue, type Mistake } from './value';

/** The body, as fields or as JSON: both are the same text. */
export function BodyEditor({
  nodes,
  text,
  parsed,
  mistakes,
  wrong,
  onChange,
}: {
  nodes: Node[];
  text: string;
  parsed: Parsed;
  mistakes: Record<string, Mistake>;
  wrong: string | undefined;
  onChange: (text: string) => void;
}) {
  const { t } = useTranslation('explorer');
  const id = useId();
  const [view, setView] = useState<'form' | 'json'>(nodes.length > 0 ? 'form' : 'json');
  const listed = Object.entries(mistakes);
  return (
    <fieldset className="explorer-part">
      <legend>{t('body')}</legend>
      <Switch
        label={t('bodyView')}
        value={view}
        options={[
          { value: 'form', label: t('form') },
          { value: 'json', label: 'JSON' },
        ]}
        onChange={setView}
      />
      {view === 'form' &&
        (parsed.error ? (
          <p className="mistake">{t('notJson')}</p>
        ) : nodes.length === 0 ? (
          <p className="hint">{t('noFields')}</p>
        ) : (
          <BodyContext
            value={{
              body: parsed.value,
              set: (path, value) => onChange(writeJson(withValue(parsed.value, path, value) ?? {}, 2)),
              mistakes,
            }}
          >
            <NodeFields nodes={nodes} path={[]} />
          </BodyContext>
        ))}
      {view === 'json' && (
        <div className={`field${wrong || parsed.error ? ' wrong' : ''}`}>
          <label htmlFor={id}>{t('bodyJson')}</label>
          <textarea
            id={id}
            className="explorer-code"
            rows={Math.min(24, Math.max(8, text.split('\n').length + 1))}
            spellCheck={false}
            value={text}
            aria-invalid={parsed.error !== undefined || wrong !== undefined}
            aria-describedby={`${id}-wrong`}
            onChange={(event) => onChange(event.target.value)}
          />
          <div id={`${id}-wrong`} className="mistake">
            {parsed.error && t('jsonError', { error: parsed.error })}
            {!parsed.error && listed.map(([path, mistake]) => <p key={path}>{`${path || '{}'}: ${t(`wrong.${mistake}`)}`}</p>)}
          </div>
        </div>
      )}
    </fieldset>
  );
}
