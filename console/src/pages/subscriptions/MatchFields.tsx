import { useTranslation } from 'react-i18next';
import { useApiQuery } from '@/api/client';
import { AccountPicker } from '@/pages/events/AccountPicker';
import { deliverable, kindText, knownKinds } from '@/pages/events/kinds';
import { Field, useLanguage, useOperations, type Form } from '@/shared';
import { ChipList, Chips } from './Chips';
import type { Values } from './values';

/** Which events a subscription gets. */
export function MatchFields({ form }: { form: Form<Values> }) {
  const { t } = useTranslation('subscriptions');
  const { text } = useLanguage();
  const { may } = useOperations();
  const components = useApiQuery('/v1/components', {}, { enabled: may('components:read') });
  const named = (kind: string) => {
    const words = kindText(kind);
    return words ? `${text(words)} (${kind})` : kind;
  };
  const kinds = form.values['match.kinds'];
  const matchesTexts = kinds.some((kind) => kind === 'text' || (kind.endsWith('*') && 'text'.startsWith(kind.slice(0, -1))));
  return (
    <fieldset className="subscriptions-part form">
      <legend>{t('match.title')}</legend>
      <Field form={form} name="match.kinds" label={t('match.kinds')} hint={t('match.kindsHint')} required>
        {(control) => (
          <Chips
            {...control}
            values={kinds}
            named={named}
            label={t('match.kinds')}
            placeholder={t('match.kindsPlaceholder')}
            offered={knownKinds.filter(deliverable).map((kind) => ({ value: kind, label: text(kindText(kind) ?? { zh: kind, en: kind }) }))}
            onChange={(values) => form.set('match.kinds', values)}
          />
        )}
      </Field>
      <Field form={form} name="match.components" label={t('match.components')} hint={t('match.componentsHint')}>
        {(control) => (
          <Chips
            {...control}
            values={form.values['match.components']}
            label={t('match.components')}
            placeholder="wx…"
            offered={(components.data?.items ?? []).map(({ appid }) => ({ value: appid }))}
            onChange={(values) => form.set('match.components', values)}
          />
        )}
      </Field>
      <Field form={form} name="match.authorizers" label={t('match.authorizers')} hint={t('match.authorizersHint')}>
        {(control) => (
          <ChipList
            values={form.values['match.authorizers']}
            named={(appid) => appid}
            onRemove={(appid) => form.set('match.authorizers', form.values['match.authorizers'].filter((other) => other !== appid))}
          >
            <AccountPicker
              {...control}
              value=""
              onChoose={(appid) => appid && form.set('match.authorizers', [...new Set([...form.values['match.authorizers'], appid])])}
            />
          </ChipList>
        )}
      </Field>
      <Field form={form} name="match.tags" label={t('match.tags')} hint={t('match.tagsHint')}>
        {(control) => (
          <Chips
            {...control}
            values={form.values['match.tags']}
            label={t('match.tags')}
            onChange={(values) => form.set('match.tags', values)}
          />
        )}
      </Field>
      {(matchesTexts || form.values['match.contains'].length > 0) && (
        <Field form={form} name="match.contains" label={t('match.contains')} hint={t('match.containsHint')}>
          {(control) => (
            <Chips
              {...control}
              values={form.values['match.contains']}
              label={t('match.contains')}
              onChange={(values) => form.set('match.contains', values)}
            />
          )}
        </Field>
      )}
    </fieldset>
  );
}
