import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useApiMutation, useApiQuery } from '@/api/client';
import { Loading, ProblemNote, QrCode, useOperations } from '@/shared';
import type { Screen } from './Phone';
import { useSimulatedComponents } from './platform';

/** Chooses an authorization link that is open, or makes one, and goes on in another tab. */
export function Scan({ go }: { go: (screen: Screen) => void }) {
  const { t } = useTranslation('simulator');
  const { reason } = useOperations();
  const [chosen, setChosen] = useState<string>();
  const components = useSimulatedComponents();
  const links = useApiQuery('/v1/authorization-links', { query: { limit: 100 } }, { refetchInterval: 3_000 });
  const make = useApiMutation('post', '/v1/authorization-links', { invalidates: ['/v1/authorization-links'], onSuccess: ({ id }) => setChosen(id) });
  const component = components.data?.[0]?.appid;
  const open = links.data?.items.filter(({ state }) => state === 'open').slice(0, 10);
  const why = reason('links:write');
  if (chosen) return <Scanned id={chosen} go={go} />;
  return (
    <>
      <p>{t('scan.explain')}</p>
      <button
        type="button"
        className="simulator-main"
        disabled={why !== undefined || !component || make.isPending}
        {...(why ? { title: why } : {})}
        onClick={() => component && make.mutate({ body: { component_appid: component, reference: 'demo' } })}
      >
        {t('scan.make')}
      </button>
      <ProblemNote error={make.error ?? links.error} />
      <h3>{t('scan.open')}</h3>
      {!open && !links.error && <Loading />}
      {open?.length === 0 && <p className="hint">{t('scan.none')}</p>}
      <ul className="simulator-rows">
        {open?.map((link) => (
          <li key={link.id}>
            <button type="button" className="simulator-row" onClick={() => setChosen(link.id)}>
              <span>
                {link.reference || t('scan.link')}
                <small>{link.id}</small>
              </span>
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

/** Waits until the link was used in the tab beside this one. */
function Scanned({ id, go }: { id: string; go: (screen: Screen) => void }) {
  const { t } = useTranslation('simulator');
  const read = useApiQuery('/v1/authorization-links/{id}', { path: { id } }, { refetchInterval: 2_000 });
  const link = read.data;
  const usedBy = link?.used_by;
  useEffect(() => {
    if (usedBy) go({ name: 'done', appid: usedBy, component: link.component_appid });
    // Once, as soon as it is used.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [usedBy]);
  if (!link) return read.error ? <ProblemNote error={read.error} /> : <Loading />;
  return (
    <div className="simulator-done">
      <QrCode text={link.url} what={t('scan.link')} />
      <p>{t('scan.next')}</p>
      <a className="simulator-main" href={link.url} target="_blank" rel="noreferrer">
        {t('scan.openPage')}
      </a>
      <p className="hint" role="status">
        {t('scan.waiting')}
      </p>
    </div>
  );
}
