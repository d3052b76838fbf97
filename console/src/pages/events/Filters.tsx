import { Button } from 'tdesign-react';
import { useEffect, useId, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useApiQuery } from '@/api/client';
import { useLanguage, useOperations, type useFilters } from '@/shared';
import { AccountPicker } from './AccountPicker';
import { kindText, knownKinds } from './kinds';
import { fromLocal, toLocal } from './localTime';
import { Suggest } from './Suggest';

export type FilterName = 'component' | 'authorizer' | 'kind' | 'since' | 'until';
type Filters = ReturnType<typeof useFilters<FilterName>>;

/** Which events are shown. All of it stands in the page's address. */
export function EventFilters({ filters }: { filters: Filters }) {
  const { t } = useTranslation('events');
  const { t: ts } = useTranslation('shared');
  const id = useId();
  return (
    <div className="filters" role="search">
      <ComponentFilter value={filters.values.component} onChange={(value) => filters.set('component', value)} />
      <div className="field">
        <label htmlFor={`${id}-account`}>{t('filter.account')}</label>
        <AccountPicker
          id={`${id}-account`}
          value={filters.values.authorizer}
          onChoose={(authorizer) => filters.set('authorizer', authorizer)}
        />
      </div>
      <div className="field">
        <label htmlFor={`${id}-kind`}>{t('filter.kind')}</label>
        <KindInput id={`${id}-kind`} value={filters.values.kind} onChange={(value) => filters.set('kind', value)} />
      </div>
      {(['since', 'until'] as const).map((name) => (
        <label key={name} className="field">
          <span>{t(`filter.${name}`)}</span>
          <input
            type="datetime-local"
            value={toLocal(filters.values[name])}
            onChange={(event) => filters.set(name, fromLocal(event.target.value))}
          />
        </label>
      ))}
      {filters.active && (
        <Button variant="text" onClick={filters.clear}>
          {ts('reset')}
        </Button>
      )}
    </div>
  );
}

function ComponentFilter({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const { t } = useTranslation('events');
  const { t: ts } = useTranslation('shared');
  const { may } = useOperations();
  const components = useApiQuery('/v1/components', {}, { enabled: may('components:read') });
  const items = components.data?.items ?? [];
  return (
    <label className="field">
      <span>{t('filter.component')}</span>
      <select value={value} onChange={(event) => onChange(event.target.value)}>
        <option value="">{ts('all')}</option>
        {value && !items.some(({ appid }) => appid === value) && <option value={value}>{value}</option>}
        {items.map(({ appid }) => (
          <option key={appid} value={appid}>
            {appid}
          </option>
        ))}
      </select>
    </label>
  );
}

/** A kind, or the beginning of some that ends in *, with those that are known. */
export function KindInput({ id, value, onChange }: { id: string; value: string; onChange: (value: string) => void }) {
  const { t } = useTranslation('events');
  const { text } = useLanguage();
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  const q = typed.trim().toLowerCase();
  const options = knownKinds
    .map((kind) => ({ value: kind, label: text(kindText(kind) ?? { zh: kind, en: kind }) }))
    .filter(({ value: kind, label }) => q === '' || typed === value || `${kind} ${label}`.toLowerCase().includes(q));
  const settle = () => typed.trim() !== value && onChange(typed.trim());
  return (
    <Suggest
      id={id}
      label={t('filter.kind')}
      placeholder={t('filter.kindPlaceholder')}
      value={typed}
      options={options}
      onChange={setTyped}
      onChoose={onChange}
      onEnter={settle}
      onLeave={settle}
    />
  );
}
