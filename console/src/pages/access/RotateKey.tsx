import { Button } from 'tdesign-react';
import { useId, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useApiMutation, type Schema } from '@/api/client';
import { Dialog, ProblemNote, Time } from '@/shared';
import type { APIKey } from './keyForm';

const graces = [3_600, 86_400, 7 * 86_400, 30 * 86_400, 0];

/** Replaces a key while the one before goes on for a while. */
export function RotateKey({ of, onRotated, onClose }: { of: APIKey; onRotated: (made: Schema<'NewAPIKey'>) => void; onClose: () => void }) {
  const { t } = useTranslation('access');
  const { t: ts } = useTranslation('shared');
  const field = useId();
  const [grace, setGrace] = useState(86_400);
  const rotate = useApiMutation('post', '/v1/api-keys/{id}/rotate', { invalidates: ['/v1/api-keys', '/v1/api-keys/{id}'] });
  const begin = () =>
    rotate.mutate(
      { params: { path: { id: of.id } }, body: { grace_seconds: grace } },
      {
        onSuccess: (made) => {
          rotate.reset(); // its reply holds the key
          onRotated(made);
        },
      },
    );
  return (
    <Dialog
      title={t('key.rotateOf', { name: of.name })}
      onClose={onClose}
      footer={
        <>
          <Button variant="outline" theme="default" onClick={onClose}>
            {ts('cancel')}
          </Button>
          <Button theme={grace === 0 ? 'danger' : 'primary'} loading={rotate.isPending} onClick={begin}>
            {t('key.rotate')}
          </Button>
        </>
      }
    >
      <ol>
        <li>{t('key.rotateStep1')}</li>
        <li>{t('key.rotateStep2')}</li>
        <li>{t('key.rotateStep3')}</li>
      </ol>
      {of.previous_until && (
        <p className="access-warn">
          {t('key.rotateAgain')} <Time at={of.previous_until} exact />
        </p>
      )}
      <div className="field">
        <label htmlFor={field}>{t('key.grace')}</label>
        <select id={field} value={grace} onChange={(event) => setGrace(Number(event.target.value))}>
          {graces.map((seconds) => (
            <option key={seconds} value={seconds}>
              {t(`key.graces.${seconds}`)}
            </option>
          ))}
        </select>
        {grace === 0 && <p className="mistake">{t('key.atOnce')}</p>}
      </div>
      <ProblemNote error={rotate.error} />
    </Dialog>
  );
}
