import { Button } from 'tdesign-react';
import { CloseIcon } from 'tdesign-icons-react';
import { useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Suggest, type ControlProps, type Suggestion } from '@/pages/events/Suggest';

/** Several texts: typed and Enter, or taken from what is offered; removed one by one. */
export function Chips({
  values,
  onChange,
  offered = [],
  label,
  placeholder,
  named = (value) => value,
  ...control
}: ControlProps & {
  values: string[];
  onChange: (values: string[]) => void;
  offered?: Suggestion[];
  label: string;
  placeholder?: string;
  named?: (value: string) => string;
}) {
  const [typed, setTyped] = useState('');
  const q = typed.trim().toLowerCase();
  const options = offered.filter(
    (option) => !values.includes(option.value) && `${option.value} ${option.label ?? ''}`.toLowerCase().includes(q),
  );
  const add = (value: string) => {
    setTyped('');
    if (value.trim() !== '' && !values.includes(value.trim())) onChange([...values, value.trim()]);
  };
  return (
    <ChipList values={values} named={named} onRemove={(value) => onChange(values.filter((other) => other !== value))}>
      <Suggest
        {...control}
        label={label}
        placeholder={placeholder}
        value={typed}
        options={options}
        onChange={setTyped}
        onChoose={add}
        onEnter={() => add(typed)}
        onLeave={() => add(typed)}
      />
    </ChipList>
  );
}

/** Chosen texts above the control that adds to them. */
export function ChipList({
  values,
  named,
  onRemove,
  children,
}: {
  values: string[];
  named: (value: string) => string;
  onRemove: (value: string) => void;
  children: ReactNode;
}) {
  const { t } = useTranslation('subscriptions');
  return (
    <div className="subscriptions-chips">
      {values.length > 0 && (
        <ul>
          {values.map((value) => (
            <li key={value}>
              <span>{named(value)}</span>
              <Button
                size="small"
                variant="text"
                shape="square"
                icon={<CloseIcon />}
                aria-label={t('remove', { what: value })}
                onClick={() => onRemove(value)}
              />
            </li>
          ))}
        </ul>
      )}
      {children}
    </div>
  );
}
