import { Button } from 'tdesign-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { etagOf, useApiMutation } from '@/api/client';
import { Dialog, Field, FormErrors, notify, useForm } from '@/shared';
import { RoleField } from './RoleField';
import type { User } from './user';

/** Changes the name and the role of a user, as they were when the dialog opened. */
export function EditUser({ user, onClose }: { user: User; onClose: () => void }) {
  const { t } = useTranslation('access');
  const { t: ts } = useTranslation('shared');
  const [etag] = useState(() => etagOf(user));
  const change = useApiMutation('patch', '/v1/users/{id}', { invalidates: ['/v1/users', '/v1/users/{id}', '/v1/session'] });
  const form = useForm({
    draft: `user.${user.id}`,
    initial: { full_name: user.full_name, role: user.role },
    async submit({ full_name: fullName, role }) {
      await change.mutateAsync({
        params: { path: { id: user.id } },
        body: { full_name: fullName.trim(), role },
        ...(etag ? { headers: { 'If-Match': etag } } : {}),
      });
      notify('success', t('changed', { name: user.name }));
      onClose();
    },
  });
  return (
    <Dialog
      title={t('user.edit', { name: user.name })}
      onClose={onClose}
      footer={
        <>
          <Button variant="outline" theme="default" onClick={onClose}>
            {ts('cancel')}
          </Button>
          <Button loading={form.busy} onClick={() => form.submit()}>
            {ts('save')}
          </Button>
        </>
      }
    >
      <form className="form" noValidate onSubmit={form.submit}>
        <Field form={form} name="full_name" label={t('user.fullName')} autocomplete="off" />
        <RoleField value={form.values.role} wrong={form.wrong('role')} onChange={(role) => form.set('role', role)} />
        <p className="hint">{t('user.roleSoon')}</p>
        {user.role === 'owner' && form.values.role !== 'owner' && <p className="access-warn">{t('user.lastOwner')}</p>}
        <FormErrors form={form} />
      </form>
    </Dialog>
  );
}
