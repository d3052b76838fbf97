import { Button, Input } from 'tdesign-react';
import { SearchIcon } from 'tdesign-icons-react';
import { useEffect, useState } from 'react';
import { useSearchParams } from 'react-router';
import { useTranslation } from 'react-i18next';
import { useDebounced } from './Time';

type Filter =
  | { name: string; label: string; kind: 'search'; placeholder?: string }
  | { name: string; label: string; kind: 'select'; options: Array<{ value: string; label: string }> };

/** Filters kept in the page's address, so that they survive a reload and can be shared. */
export function useFilters<Name extends string>(...names: Name[]) {
  const [search, setSearch] = useSearchParams();
  const values = Object.fromEntries(names.map((name) => [name, search.get(name) ?? ''])) as Record<Name, string>;
  return {
    values,
    /** Those that are set, ready to be query parameters. */
    query: Object.fromEntries(names.flatMap((name) => (values[name] ? [[name, values[name]]] : []))) as Partial<Record<Name, string>>,
    active: names.some((name) => values[name] !== ''),
    set(name: Name, value: string) {
      setSearch(
        (before) => {
          if (value) before.set(name, value);
          else before.delete(name);
          return before;
        },
        { replace: true },
      );
    },
    clear() {
      setSearch(
        (before) => {
          names.forEach((name) => before.delete(name));
          return before;
        },
        { replace: true },
      );
    },
  };
}

/** The controls of {@link useFilters}. Searching waits until the typing rests. */
export function FilterBar<Name extends string>({
  filters,
  fields,
}: {
  filters: ReturnType<typeof useFilters<Name>>;
  fields: Array<Filter & { name: Name }>;
}) {
  const { t } = useTranslation('shared');
  return (
    <div className="filters" role="search">
      {fields.map((field) => (
        <label key={field.name} className="field">
          <span>{field.label}</span>
          {field.kind === 'search' ? (
            <SearchField
              value={filters.values[field.name]}
              placeholder={field.placeholder ?? ''}
              onChange={(value) => filters.set(field.name, value)}
            />
          ) : (
            <select value={filters.values[field.name]} onChange={(event) => filters.set(field.name, event.target.value)}>
              <option value="">{t('all')}</option>
              {field.options.map(({ value, label }) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          )}
        </label>
      ))}
      {filters.active && (
        <Button variant="text" onClick={filters.clear}>
          {t('reset')}
        </Button>
      )}
    </div>
  );
}

function SearchField({ value, placeholder, onChange }: { value: string; placeholder: string; onChange: (value: string) => void }) {
  const [typed, setTyped] = useState(value);
  const settled = useDebounced(typed);
  useEffect(() => {
    if (settled !== value) onChange(settled);
    // Only what was typed is written; an address changed otherwise is shown by the next effect.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [settled]);
  useEffect(() => setTyped(value), [value]);
  return <Input type="search" value={typed} placeholder={placeholder} clearable prefixIcon={<SearchIcon />} onChange={setTyped} />;
}
