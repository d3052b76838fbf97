import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'react-router';
import { useApiQuery } from '@/api/client';
import { Loading, PageHeader, ProblemNote, StateTag, useLanguage } from '@/shared';
import { CallForm } from './CallForm';
import type { Endpoint, Target } from './endpoint';
import { RecentCalls } from './RecentCalls';

/** One endpoint: what it is for, its form, and what was called last. */
export function EndpointView({ id }: { id: string }) {
  const [search, setSearch] = useSearchParams();
  const read = useApiQuery('/v1/catalogue/{id}', { path: { id } });
  const authorizer = search.get('account') ?? '';
  const component = search.get('component') ?? '';
  const target = useMemo<Target>(() => ({ authorizer, component }), [authorizer, component]);
  const setTarget = (chosen: Target) =>
    setSearch(
      (before) => {
        for (const [name, value] of [['account', chosen.authorizer], ['component', chosen.component]] as const) {
          if (value) before.set(name, value);
          else before.delete(name);
        }
        return before;
      },
      { replace: true },
    );
  if (!read.data) {
    return (
      <div>
        <PageHeader title={id} />
        {read.error ? <ProblemNote error={read.error} retry={() => void read.refetch()} /> : <Loading />}
      </div>
    );
  }
  return (
    <div className="stack explorer-endpoint">
      <Heading endpoint={read.data} />
      <CallForm endpoint={read.data} target={target} onTarget={setTarget} />
      {authorizer && <RecentCalls target={target} />}
    </div>
  );
}

function Heading({ endpoint }: { endpoint: Endpoint }) {
  const { t } = useTranslation('explorer');
  const { language } = useLanguage();
  const zh = language === 'zh';
  return (
    <div>
      <PageHeader title={zh ? endpoint.title_zh : endpoint.title} note={zh ? endpoint.group_title_zh : endpoint.group_title} />
      <p className="row">
        <code>
          {endpoint.method} {endpoint.path}
        </code>
        <StateTag state={endpoint.read ? 'ok' : 'warning'} label={t(endpoint.read ? 'reads' : 'changes')} />
        <span className="hint">{t(`token.${endpoint.token}`)}</span>
        {endpoint.doc && (
          <a href={endpoint.doc} target="_blank" rel="noreferrer">
            {t('doc')}
          </a>
        )}
      </p>
    </div>
  );
}
