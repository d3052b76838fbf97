import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { useApiQuery, type Reply } from '@/api/client';
import { DataTable, ProblemNote, StateTag, useLanguage } from '@/shared';
import { reauthorizationPath, type AuthorizerDetail } from './authorizer';

type Named = Reply<'get', '/v1/permission-sets'>['items'][number];

interface Row {
  id: number;
  named: Named | undefined;
  granted: boolean;
  /** Undefined where nobody knows what was asked for. */
  wanted: boolean | undefined;
}

/** The permission sets of an authorization: what was asked for against what was granted. */
export function PermissionSets({ of }: { of: AuthorizerDetail }) {
  const { t } = useTranslation('authorizers');
  const { text } = useLanguage();
  const names = useApiQuery('/v1/permission-sets');
  const named = new Map(names.data?.items.map((set) => [set.id, set]));
  const wanted = of.wanted_permission_sets ?? undefined;
  const rows: Row[] = [...new Set([...of.permission_sets, ...(wanted ?? [])])]
    .sort((a, b) => a - b)
    .map((id) => ({ id, named: named.get(id), granted: of.permission_sets.includes(id), wanted: wanted?.includes(id) }));
  const missing = rows.filter(({ granted }) => !granted);
  return (
    <div className="stack">
      <h2>{t('section.sets')}</h2>
      <p className="hint">{t('sets.hint')}</p>
      {missing.length > 0 && (
        <div className="panel trouble">
          <p>{t(missing.some((row) => row.named?.exclusive) ? 'sets.missingExclusive' : 'sets.missing', { count: missing.length })}</p>
          <Link to={reauthorizationPath(of, wanted ?? [])}>{t('remedy.reauthorize')}</Link>
        </div>
      )}
      {!wanted && <p className="hint">{t('sets.noWanted')}</p>}
      <ProblemNote error={names.error} retry={() => void names.refetch()} />
      <DataTable
        label={t('section.sets')}
        rows={rows}
        rowKey={({ id }) => String(id)}
        empty={t('sets.empty')}
        columns={[
          {
            key: 'name',
            title: t('sets.set'),
            render: ({ id, named: set }) => (set ? text({ zh: set.name_zh, en: set.name }) : t('sets.unnamed', { id })),
          },
          { key: 'id', title: 'ID', render: ({ id }) => <code>{id}</code> },
          {
            key: 'granted',
            title: t('sets.granted'),
            render: ({ granted, wanted: asked }) => (
              <span className="row">
                <StateTag state={granted ? 'ok' : 'warning'} label={t(granted ? 'sets.yes' : 'sets.no')} />
                {granted && asked === false && <span className="hint">{t('sets.unasked')}</span>}
              </span>
            ),
          },
          { key: 'wanted', title: t('sets.wanted'), render: ({ wanted: asked }) => (asked === undefined ? '—' : t(asked ? 'sets.asked' : 'sets.notAsked')) },
          {
            key: 'exclusive',
            title: t('sets.sharing'),
            render: ({ named: set, granted }) =>
              !set ? '—' : set.exclusive ? (
                <span className="row">
                  <StateTag state="exclusive" theme="warning" label={t('sets.exclusive')} />
                  <span className="hint">{t(granted ? 'sets.exclusiveHeld' : 'sets.exclusiveElsewhere')}</span>
                </span>
              ) : (
                t('sets.shared')
              ),
          },
        ]}
      />
    </div>
  );
}
