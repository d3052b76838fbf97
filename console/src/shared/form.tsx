import { Alert, Input, type InputProps } from 'tdesign-react';
import { useEffect, useId, useRef, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Problem } from '@/api/problem';
import { ProblemNote } from './feedback';

export interface Form<Values> {
  values: Values;
  set: <Name extends keyof Values>(name: Name, value: Values[Name]) => void;
  /** What is wrong with a field: what `check` said, or else the server. */
  wrong: (name: keyof Values & string) => string | undefined;
  /** The server's problem, where it is about no field of this form. */
  problem: Problem | undefined;
  /** How many fields have to be mended. */
  mistakes: number;
  busy: boolean;
  /** To be the form's onSubmit. */
  submit: (event?: { preventDefault(): void }) => void;
  reset: () => void;
  /** Whether a draft was found and nothing has been changed since. */
  restored: boolean;
}

/**
 * The state of a form. What was typed is kept in the browser's session under `draft`, so that
 * a reload or the end of the session loses nothing; names in `secrets` are never written.
 *
 * `submit` sends the values and throws the Problem; its fields are then shown beside the
 * inputs. `check` finds mistakes before anything is sent.
 */
export function useForm<Values extends object>({
  draft,
  initial,
  secrets = [],
  check,
  submit,
}: {
  draft?: string;
  initial: Values;
  secrets?: Array<keyof Values>;
  check?: (values: Values) => Partial<Record<keyof Values, string | undefined>>;
  submit: (values: Values) => Promise<unknown>;
}): Form<Values> {
  const key = draft === undefined ? undefined : `tuoguan.draft.${draft}`;
  const [kept] = useState(() => (key === undefined ? undefined : readDraft<Values>(key)));
  const [values, setValues] = useState<Values>({ ...initial, ...kept });
  const [problem, setProblem] = useState<Problem>();
  const [mended, setMended] = useState<ReadonlySet<string>>(new Set());
  const [touched, setTouched] = useState(false);
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const running = useRef(false);
  useEffect(() => {
    if (key === undefined) return;
    const open = (all: Values) =>
      JSON.stringify(Object.fromEntries(Object.entries(all).filter(([name]) => !secrets.includes(name as keyof Values))));
    if (open(values) === open(initial)) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, open(values));
    // The draft follows the values only.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [values, key]);

  const found = check?.(values) ?? {};
  const checked = Object.entries(found).filter((entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1] !== '');
  const own = tried ? Object.fromEntries(checked) : {};
  const served = Object.fromEntries(
    Object.entries(problem?.fields ?? {}).filter(([name]) => fieldOf(name, values) !== undefined && !mended.has(fieldOf(name, values)!)),
  );
  const wrong = (name: string) => own[name] ?? served[name] ?? Object.entries(served).find(([path]) => fieldOf(path, values) === name)?.[1];
  const elsewhere = problem && Object.keys(problem.fields).every((name) => fieldOf(name, values) === undefined) ? problem : undefined;

  const run = async () => {
    if (running.current) return;
    setTried(true);
    setProblem(undefined);
    setMended(new Set());
    if (checked.length > 0) return;
    running.current = true;
    setBusy(true);
    try {
      await submit(values);
      if (key !== undefined) sessionStorage.removeItem(key);
      setTried(false);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error);
    } finally {
      running.current = false;
      setBusy(false);
    }
  };

  return {
    values,
    set(name, value) {
      setValues((before) => ({ ...before, [name]: value }));
      setTouched(true);
      setMended((before) => new Set(before).add(String(name)));
    },
    wrong,
    problem: elsewhere,
    mistakes: new Set([...Object.keys(own), ...Object.keys(served)]).size,
    busy,
    submit(event) {
      event?.preventDefault();
      void run();
    },
    reset() {
      if (key !== undefined) sessionStorage.removeItem(key);
      setValues(initial);
      setProblem(undefined);
      setTried(false);
    },
    restored: kept !== undefined && !touched,
  };
}

/** The server names fields as paths ("scope.operations[0]"); a form's field is its longest prefix. */
function fieldOf(path: string, values: object): string | undefined {
  return Object.keys(values)
    .filter((name) => path === name || path.startsWith(`${name}.`) || path.startsWith(`${name}[`))
    .sort((a, b) => b.length - a.length)[0];
}

function readDraft<Values>(key: string): Partial<Values> | undefined {
  try {
    return (JSON.parse(sessionStorage.getItem(key) ?? 'null') as Partial<Values> | null) ?? undefined;
  } catch {
    return undefined;
  }
}

/**
 * A labelled control with its hint and what is wrong with it. Without children it is a text
 * input of the form; with a function, the control gets `id` and `aria-*` to put on its input.
 */
export function Field<Values extends object>({
  form,
  name,
  label,
  hint,
  required = false,
  type,
  autocomplete,
  placeholder,
  monospace = false,
  suffix,
  children,
}: {
  form: Form<Values>;
  name: keyof Values & string;
  label: string;
  hint?: ReactNode;
  required?: boolean;
  type?: InputProps['type'];
  autocomplete?: string;
  placeholder?: string;
  monospace?: boolean;
  /** Beside the input, as a button that makes a value. */
  suffix?: ReactNode;
  children?: (control: { id: string; 'aria-invalid': boolean; 'aria-describedby': string }) => ReactNode;
}) {
  const id = useId();
  const wrong = form.wrong(name);
  const described = [wrong ? `${id}-wrong` : '', hint ? `${id}-hint` : ''].filter(Boolean).join(' ');
  const control = { id, 'aria-invalid': wrong !== undefined, 'aria-describedby': described };
  return (
    <div className={`field${wrong ? ' wrong' : ''}`}>
      <label htmlFor={id}>
        {label}
        {required && <span aria-hidden="true"> *</span>}
      </label>
      <div className="control">
        {children ? (
          children(control)
        ) : (
          <NativeInput
            control={control}
            required={required}
            value={String(form.values[name] ?? '')}
            onChange={(value) => form.set(name, value as Values[typeof name])}
            type={type}
            autocomplete={autocomplete}
            placeholder={placeholder}
            monospace={monospace}
          />
        )}
        {suffix}
      </div>
      {hint && (
        <p id={`${id}-hint`} className="hint">
          {hint}
        </p>
      )}
      {wrong && (
        <p id={`${id}-wrong`} className="mistake" role="alert">
          {wrong}
        </p>
      )}
    </div>
  );
}

type Control = { id: string; 'aria-invalid': boolean; 'aria-describedby': string };

// TDesign's input keeps the attributes of its input element to itself, so they are set on the element.
function NativeInput({
  control,
  required,
  value,
  onChange,
  type,
  autocomplete,
  placeholder,
  monospace,
}: {
  control: Control;
  required: boolean;
  value: string;
  onChange: (value: string) => void;
  type?: InputProps['type'];
  autocomplete?: string;
  placeholder?: string;
  monospace: boolean;
}) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const input = box.current?.querySelector('input');
    if (!input) return;
    input.id = control.id;
    input.setAttribute('aria-invalid', String(control['aria-invalid']));
    input.setAttribute('aria-describedby', control['aria-describedby']);
    input.setAttribute('aria-required', String(required));
  });
  return (
    <div ref={box} className={monospace ? 'monospace' : undefined}>
      <Input
        value={value}
        onChange={onChange}
        type={type}
        autocomplete={autocomplete}
        placeholder={placeholder ?? ''}
        spellCheck={false}
        status={control['aria-invalid'] ? 'error' : 'default'}
      />
    </div>
  );
}

/** What is wrong with a form as a whole, and that a draft was restored. Goes above its buttons. */
export function FormErrors<Values extends object>({ form }: { form: Form<Values> }) {
  const { t } = useTranslation('shared');
  return (
    <>
      {form.restored && !form.busy && form.mistakes === 0 && !form.problem && <Alert theme="info" message={t('form.draft')} />}
      <div role="alert">{form.mistakes > 0 && <Alert theme="error" message={t('form.invalid', { count: form.mistakes })} />}</div>
      <ProblemNote error={form.problem} />
    </>
  );
}
