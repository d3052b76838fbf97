import { useId } from 'react';
import { useTranslation } from 'react-i18next';
import type { Field } from './tree';

export type Query = Record<string, string>;

/** The only value that a parameter can have: the server fills it in. */
export function fixedValue(field: Field): string | undefined {
  return field.values?.length === 1 ? String(field.values[0]) : undefined;
}

/** What is wrong with the parameters, by name. */
export function queryMistakes(fields: Field[], query: Query): Record<string, 'required' | 'integer'> {
  const found: Record<string, 'required' | 'integer'> = {};
  for (const field of fields) {
    const value = query[field.name] ?? '';
    if (value === '' && field.required === 'yes' && fixedValue(field) === undefined) found[field.name] = 'required';
    if (value !== '' && field.type === 'integer' && !/^-?\d+$/.test(value)) found[field.name] = 'integer';
  }
  return found;
}

/** Parameters of the query, besides the token. */
export function QueryFields({
  fields,
  query,
  mistakes,
  onChange,
}: {
  fields: Field[];
  query: Query;
  mistakes: Record<string, 'required' | 'integer'>;
  onChange: (query: Query) => void;
}) {
  const { t } = useTranslation('explorer');
  const id = useId();
  return (
    <fieldset className="explorer-part">
      <legend>{t('query')}</legend>
      {fields.map((field) => {
        const wrong = mistakes[field.name];
        const fixed = fixedValue(field);
        const control = {
          id: `${id}-${field.name}`,
          'aria-invalid': wrong !== undefined,
          'aria-describedby': wrong ? `${id}-${field.name}-wrong` : undefined,
          'aria-required': field.required === 'yes',
          value: fixed ?? query[field.name] ?? '',
        };
        const change = (value: string) => {
          const { [field.name]: _, ...rest } = query;
          onChange(value === '' ? rest : { ...rest, [field.name]: value });
        };
        return (
          <div key={field.name} className={`field${wrong ? ' wrong' : ''}`}>
            <label htmlFor={control.id}>
              <code>{field.name}</code> <span className="hint">{t(`type.${field.type}`)}</span>
              {field.required === 'yes' && <span className="explorer-required">{t('required')}</span>}
              {field.required === 'conditional' && <span className="hint"> · {t('conditional')}</span>}
            </label>
            {fixed === undefined && field.values?.length ? (
              <select {...control} onChange={(event) => change(event.target.value)}>
                <option value="">{t('unset')}</option>
                {field.values.map((value) => (
                  <option key={String(value)} value={String(value)}>
                    {String(value)}
                  </option>
                ))}
              </select>
            ) : (
              <input
                {...control}
                type="text"
                autoComplete="off"
                spellCheck={false}
                readOnly={fixed !== undefined}
                onChange={(event) => change(event.target.value)}
              />
            )}
            {fixed !== undefined && <p className="hint">{t('fixed')}</p>}
            {wrong && (
              <p id={`${id}-${field.name}-wrong`} className="mistake">
                {t(`wrong.${wrong}`)}
              </p>
            )}
          </div>
        );
      })}
    </fieldset>
  );
}
