import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import { useOperations, type Form } from '@/shared';
import { everything, operationGroups, presets, textOf } from './keyOperations';
import type { KeyForm } from './keyForm';

/** Chooses what a key may do. Nobody gives a key more than they may do themselves. */
export function OperationPicker({ form }: { form: Form<KeyForm> }) {
  const { t } = useTranslation('access');
  const { may } = useOperations();
  const chosen = form.values['scope.operations'];
  const wrong = form.wrong('scope.operations');
  const choose = (operations: readonly string[]) => form.set('scope.operations', [...operations]);
  const all = chosen.includes(everything);
  const option = (operation: string, covered: boolean) => {
    const mine = may(operation);
    return (
      <label key={operation} {...(mine ? {} : { title: t('key.notYours') })}>
        <input
          type="checkbox"
          checked={chosen.includes(operation) || covered}
          disabled={!mine || covered}
          onChange={() => choose(chosen.includes(operation) ? chosen.filter((other) => other !== operation) : [...chosen, operation])}
        />
        <span>
          {t(`${textOf(operation)}.name`)} <code>{operation}</code> <span className="hint">{t(`${textOf(operation)}.may`)}</span>
        </span>
      </label>
    );
  };
  return (
    <fieldset className="access-choices" aria-describedby={wrong ? 'operations-wrong' : undefined}>
      <legend>{t('key.operations')}</legend>
      <div className="row">
        <span className="hint">{t('key.presets')}</span>
        {(Object.keys(presets) as Array<keyof typeof presets>).map((name) => (
          <Button key={name} size="small" variant="outline" theme="default" onClick={() => choose(presets[name].filter((operation) => may(operation)))}>
            {t(`key.preset.${name}`)}
          </Button>
        ))}
      </div>
      <div className="access-operations">
        {(Object.keys(operationGroups) as Array<keyof typeof operationGroups>).map((group) => (
          <div key={group} role="group" aria-label={t(`key.group.${group}`)}>
            <h3>{t(`key.group.${group}`)}</h3>
            {operationGroups[group].map((operation) => option(operation, all))}
          </div>
        ))}
        <div role="group" aria-label={t('key.group.everything')}>
          <h3>{t('key.group.everything')}</h3>
          {option(everything, false)}
        </div>
      </div>
      {wrong && (
        <p id="operations-wrong" className="mistake" role="alert">
          {wrong}
        </p>
      )}
    </fieldset>
  );
}
