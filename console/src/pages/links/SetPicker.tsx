import { Button, Input } from 'tdesign-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useApiQuery, type Reply } from '@/api/client';
import { Loading, ProblemNote, StateTag, useLanguage, type Form } from '@/shared';
import type { LinkForm } from './linkForm';

type PermissionSet = Reply<'get', '/v1/permission-sets'>['items'][number];

const kinds = ['official_account', 'mini_program', 'channels'] as const;

/** Chooses permission sets by name. Choosing none leaves all of the component's. */
export function SetPicker({ form }: { form: Form<LinkForm> }) {
  const { t } = useTranslation('links');
  const [some, setSome] = useState(form.values.permission_sets.length > 0);
  const wrong = form.wrong('permission_sets');
  return (
    <fieldset className="choices" aria-describedby={wrong ? 'sets-wrong' : 'sets-hint'}>
      <legend>{t('sets.title')}</legend>
      <p id="sets-hint" className="hint">
        {t('sets.hint')}
      </p>
      <label>
        <input
          type="radio"
          name="sets"
          checked={!some}
          onChange={() => {
            setSome(false);
            form.set('permission_sets', []);
          }}
        />
        <span>
          {t('sets.all')} <span className="hint">{t('sets.allHint')}</span>
        </span>
      </label>
      <label>
        <input type="radio" name="sets" checked={some} onChange={() => setSome(true)} />
        <span>
          {t('sets.some')} <span className="hint">{t('sets.someHint')}</span>
        </span>
      </label>
      {some && <Choices chosen={form.values.permission_sets} onChange={(ids) => form.set('permission_sets', ids)} />}
      {wrong && (
        <p id="sets-wrong" className="mistake" role="alert">
          {wrong}
        </p>
      )}
    </fieldset>
  );
}

function Choices({ chosen, onChange }: { chosen: number[]; onChange: (ids: number[]) => void }) {
  const { t } = useTranslation('links');
  const { language } = useLanguage();
  const [text, setText] = useState('');
  const read = useApiQuery('/v1/permission-sets');
  if (!read.data) return read.error ? <ProblemNote error={read.error} retry={() => void read.refetch()} /> : <Loading />;
  const nameOf = (set: PermissionSet) => (language === 'zh' ? set.name_zh : set.name);
  const found = read.data.items.filter((set) => `${set.id} ${set.name} ${set.name_zh}`.toLowerCase().includes(text.trim().toLowerCase()));
  const toggle = (id: number) => onChange(chosen.includes(id) ? chosen.filter((other) => other !== id) : [...chosen, id].sort((a, b) => a - b));
  return (
    <div className="stack">
      <div className="row">
        <label className="field">
          <span className="visually-hidden">{t('sets.search')}</span>
          <Input type="search" clearable value={text} placeholder={t('sets.search')} onChange={setText} />
        </label>
        <span aria-live="polite">{t('sets.chosen', { count: chosen.length })}</span>
        {chosen.length > 0 && (
          <Button size="small" variant="text" onClick={() => onChange([])}>
            {t('sets.clear')}
          </Button>
        )}
      </div>
      <div className="sets" tabIndex={0} role="group" aria-label={t('sets.title')}>
        {kinds.map((kind) => {
          const listed = found.filter((set) => set.kind === kind);
          return (
            listed.length > 0 && (
              <section key={kind}>
                <h3>{t(`kind.${kind}`)}</h3>
                <ul>
                  {listed.map((set) => (
                    <li key={set.id}>
                      <label>
                        <input type="checkbox" checked={chosen.includes(set.id)} onChange={() => toggle(set.id)} />
                        <span>
                          {nameOf(set)} <span className="hint">{set.id}</span>{' '}
                          {set.exclusive && <StateTag state="exclusive" theme="warning" label={t('sets.exclusive')} />}
                        </span>
                      </label>
                    </li>
                  ))}
                </ul>
              </section>
            )
          );
        })}
        {found.length === 0 && <p className="hint">{t('sets.nothing')}</p>}
      </div>
      <p className="hint">{t('sets.exclusiveHint')}</p>
    </div>
  );
}
