import type { Form } from '@/shared';
import type { Values } from './values';

/** Takes away a secret that is kept. */
export function ClearSecret({ form, name, label }: { form: Form<Values>; name: string; label: string }) {
  const { cleared } = form.values;
  return (
    <label className="subscriptions-check">
      <input
        type="checkbox"
        checked={cleared.includes(name)}
        onChange={(event) => form.set('cleared', event.target.checked ? [...cleared, name] : cleared.filter((other) => other !== name))}
      />
      <span>{label}</span>
    </label>
  );
}
