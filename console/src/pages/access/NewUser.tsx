import { Button } from 'tdesign-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate } from 'react-router';
import { useApiMutation } from '@/api/client';
import { Field, FormErrors, PageHeader, useForm, useOperations } from '@/shared';
import { InitialPassword } from './InitialPassword';
import { RoleField } from './RoleField';
import type { Role } from './user';
import './style.css';

/** Makes a user, and shows the initial password this once. */
export default function NewUser() {
  const { t } = useTranslation('access');
  const navigate = useNavigate();
  const { reason } = useOperations();
  const [made, setMade] = useState<{ id: string; name: string; password: string }>();
  const create = useApiMutation('post', '/v1/users', { invalidates: ['/v1/users'] });
  const form = useForm({
    draft: 'user',
    initial: { name: '', full_name: '', role: 'viewer' as Role },
    check: ({ name }) => ({ name: name.trim() ? undefined : t('user.nameNeeded') }),
    async submit({ name, full_name: fullName, role }) {
      const { user, initial_password: password } = await create.mutateAsync({ body: { name: name.trim(), full_name: fullName.trim(), role } });
      create.reset(); // its reply holds the password
      setMade({ id: user.id, name: user.name, password });
    },
  });
  const why = reason('users:write');
  return (
    <>
      <PageHeader title={t('user.create')} note={<Link to="/access">{t('user.back')}</Link>} />
      <form className="form panel access-form" noValidate onSubmit={form.submit}>
        <Field form={form} name="name" label={t('user.name')} hint={t('user.nameHint')} autocomplete="off" required />
        <Field form={form} name="full_name" label={t('user.fullName')} hint={t('user.fullNameHint')} autocomplete="off" />
        <RoleField value={form.values.role} wrong={form.wrong('role')} onChange={(role) => form.set('role', role)} />
        <p className="hint">{t('user.initialHint')}</p>
        <FormErrors form={form} />
        <Button tag="button" type="submit" loading={form.busy} disabled={!!why} {...(why ? { title: why } : {})}>
          {t('user.create')}
        </Button>
      </form>
      {made && <InitialPassword name={made.name} password={made.password} onClose={() => void navigate(`/access/users/${made.id}`, { replace: true })} />}
    </>
  );
}
