import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import { useApiMutation, type Schema } from '@/api/client';
import { Dialog, ProblemNote, StateTag } from '@/shared';

const findings = ['listed', 'adopted', 'renewed', 'candidates', 'unexchanged', 'unlisted'] as const satisfies Array<keyof Schema<'Reconciliation'>>;

/** Compares with WeChat's list of authorizations, and says what was found and mended. */
export function ReconcileDialog({ appid, onClose }: { appid: string; onClose: () => void }) {
  const { t } = useTranslation('components');
  const { t: ts } = useTranslation('shared');
  const reconcile = useApiMutation('post', '/v1/components/{appid}/reconcile', { invalidates: ['/v1/authorizers', '/v1/components/{appid}', '/v1/overview'] });
  const found = reconcile.data;
  return (
    <Dialog
      title={t('reconcile.action')}
      onClose={onClose}
      footer={
        <>
          <Button variant="outline" theme="default" onClick={onClose}>
            {ts('close')}
          </Button>
          <Button loading={reconcile.isPending} onClick={() => reconcile.mutate({ params: { path: { appid } } })}>
            {t(found ? 'reconcile.again' : 'reconcile.begin')}
          </Button>
        </>
      }
    >
      <p>{t('reconcile.explain')}</p>
      <div aria-live="polite">
        <ProblemNote error={reconcile.error} />
        {found && (
          <>
            <p className="row">
              <StateTag state={found.unexchanged > 0 ? 'warning' : 'ok'} />
              {t(found.adopted + found.renewed + found.candidates + found.unexchanged + found.unlisted === 0 ? 'reconcile.agrees' : 'reconcile.differs')}
            </p>
            <dl>
              {findings.map((name) => (
                <div key={name}>
                  <dt>{found[name]}</dt>
                  <dd>{t(`reconcile.${name}`)}</dd>
                </div>
              ))}
            </dl>
          </>
        )}
      </div>
    </Dialog>
  );
}
