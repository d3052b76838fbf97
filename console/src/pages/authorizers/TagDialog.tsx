import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import { Dialog, Field, FormErrors, useForm } from '@/shared';
import { TagInput, withTyped } from './TagInput';

type TagField = 'tags' | 'add_tags' | 'remove_tags';

type TagForm = Record<TagField, string[]> & { typed: string };

/** Asks for tags. `field` is what the API calls them, so that its complaints are shown beside them. */
export function TagDialog({
  field,
  title,
  action,
  hint,
  initial,
  save,
  onClose,
}: {
  field: TagField;
  title: string;
  action: string;
  hint: string;
  initial: string[];
  save: (tags: string[]) => Promise<unknown>;
  onClose: () => void;
}) {
  const { t } = useTranslation('authorizers');
  const chosen = (values: TagForm) => withTyped(values[field], values.typed);
  const form = useForm<TagForm>({
    initial: { tags: initial, add_tags: initial, remove_tags: initial, typed: '' },
    check: (values) => (field !== 'tags' && chosen(values).length === 0 ? { [field]: t('tags.needed') } : {}),
    submit: async (values) => {
      await save(chosen(values));
      onClose();
    },
  });
  return (
    <Dialog
      title={title}
      onClose={onClose}
      footer={
        <>
          <Button variant="outline" theme="default" onClick={onClose}>
            {t('cancel')}
          </Button>
          <Button loading={form.busy} onClick={() => form.submit()}>
            {action}
          </Button>
        </>
      }
    >
      <Field form={form} name={field} label={t('tags.tags')} hint={hint}>
        {(control) => (
          <TagInput
            control={control}
            tags={form.values[field]}
            typed={form.values.typed}
            onChange={(tags) => form.set(field, tags)}
            onType={(typed) => form.set('typed', typed)}
          />
        )}
      </Field>
      <FormErrors form={form} />
    </Dialog>
  );
}
