import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { Empty, FilterBar, useLanguage, type useFilters } from '@/shared';
import type { Summary } from './endpoint';

/** All endpoints by group, and a search in their titles and paths. */
export function Catalogue({
  endpoints,
  chosen,
  filters,
  search,
}: {
  endpoints: Summary[];
  chosen: string;
  filters: ReturnType<typeof useFilters<'q'>>;
  /** What the links keep of the address. */
  search: string;
}) {
  const { t } = useTranslation('explorer');
  const { language } = useLanguage();
  const zh = language === 'zh';
  const current = useRef<HTMLAnchorElement>(null);
  useEffect(() => {
    // Browsers may return a promise from it, which is no clean-up.
    void current.current?.scrollIntoView({ block: 'nearest' });
  }, []);
  const words = filters.values.q.toLowerCase().split(/\s+/).filter(Boolean);
  const found = endpoints.filter((endpoint) => {
    const text = `${endpoint.id} ${endpoint.title} ${endpoint.title_zh} ${endpoint.path}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const groups = [...new Set(found.map(({ group }) => group))].map((group) => ({ group, items: found.filter((endpoint) => endpoint.group === group) }));
  return (
    <nav className="explorer-catalogue" aria-label={t('catalogue')}>
      <FilterBar filters={filters} fields={[{ name: 'q', label: t('search'), kind: 'search', placeholder: t('searchPlaceholder') }]} />
      <p className="hint" role="status">
        {t('found', { count: found.length })}
      </p>
      {found.length === 0 && <Empty>{t('notFound')}</Empty>}
      <div className="explorer-list">
        {groups.map(({ group, items }) => (
          <details key={`${group} ${words.length > 0}`} open={words.length > 0 || items.some(({ id }) => id === chosen)}>
            <summary>
              {zh ? items[0]!.group_title_zh : items[0]!.group_title} <span className="hint">{items.length}</span>
            </summary>
            <ul>
              {items.map((endpoint) => (
                <li key={endpoint.id}>
                  <Link
                    ref={endpoint.id === chosen ? current : undefined}
                    to={{ pathname: `/explorer/${endpoint.id}`, search }}
                    aria-current={endpoint.id === chosen ? 'page' : undefined}
                  >
                    <span>{zh ? endpoint.title_zh : endpoint.title}</span>
                    <code>
                      {endpoint.method} {endpoint.path}
                    </code>
                  </Link>
                </li>
              ))}
            </ul>
          </details>
        ))}
      </div>
    </nav>
  );
}
