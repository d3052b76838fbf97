import { Button } from 'tdesign-react';
import { useId, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useApiMutation } from '@/api/client';
import { Dialog, ProblemNote, Time } from '@/shared';
import { SigningSecret } from './SigningSecret';
import type { Subscription } from './subscription';
import { TestResult } from './TestDialog';

const overlaps = [3_600, 86_400, 7 * 86_400, 30 * 86_400, 0];

/** Replaces the signing secret: first both sign, then the old one ends. */
export function RotateDialog({ subscription, onClose }: { subscription: Subscription; onClose: () => void }) {
  const { t } = useTranslation('subscriptions');
  const { t: ts } = useTranslation('shared');
  const field = useId();
  const [overlap, setOverlap] = useState(86_400);
  const [secret, setSecret] = useState<string>();
  const rotate = useApiMutation('post', '/v1/subscriptions/{id}/secret/rotate', { invalidates: ['/v1/subscriptions', '/v1/subscriptions/{id}'] });
  const test = useApiMutation('post', '/v1/subscriptions/{id}/test');
  const params = { path: { id: subscription.id } };
  const old = subscription.secrets.signing.filter((key) => key.until);
  const begin = () =>
    rotate.mutate(
      { params, body: { overlap_seconds: overlap } },
      {
        onSuccess: (rotated) => {
          setSecret(rotated.signing_secret);
          rotate.reset();
        },
      },
    );
  if (secret === undefined) {
    return (
      <Dialog
        title={t('rotate.action')}
        onClose={onClose}
        footer={
          <>
            <Button variant="outline" theme="default" onClick={onClose}>
              {ts('cancel')}
            </Button>
            <Button theme={overlap === 0 ? 'danger' : 'primary'} loading={rotate.isPending} onClick={begin}>
              {t('rotate.begin')}
            </Button>
          </>
        }
      >
        <ol className="subscriptions-steps">
          <li>{t('rotate.step1')}</li>
          <li>{t('rotate.step2')}</li>
          <li>{t('rotate.step3')}</li>
        </ol>
        {old.length > 0 && (
          <p className="mistake" role="status">
            {t('rotate.underWay')} <Time at={old[0]!.until} exact />
          </p>
        )}
        <div className="field">
          <label htmlFor={field}>{t('rotate.overlap')}</label>
          <select id={field} value={overlap} onChange={(event) => setOverlap(Number(event.target.value))}>
            {overlaps.map((seconds) => (
              <option key={seconds} value={seconds}>
                {t(`rotate.overlaps.${seconds}`)}
              </option>
            ))}
          </select>
          {overlap === 0 && <p className="mistake">{t('rotate.atOnce')}</p>}
        </div>
        <ProblemNote error={rotate.error} />
      </Dialog>
    );
  }
  return (
    <Dialog
      title={t('rotate.action')}
      footer={
        <>
          <Button variant="outline" loading={test.isPending} onClick={() => test.mutate({ params })}>
            {t('test.action')}
          </Button>
          <Button onClick={onClose}>{t('signing.kept')}</Button>
        </>
      }
    >
      <h3>{t('rotate.store')}</h3>
      <SigningSecret secret={secret} />
      <h3>{t('rotate.change')}</h3>
      <p>{t('rotate.changeHint')}</p>
      <div aria-live="polite">
        <TestResult test={test} />
      </div>
      <h3>{t('rotate.end')}</h3>
      {old.length > 0 ? (
        <p>
          {t('rotate.endsAt')} <Time at={old[0]!.until} exact />
        </p>
      ) : (
        <p>{t('rotate.ended')}</p>
      )}
    </Dialog>
  );
}
