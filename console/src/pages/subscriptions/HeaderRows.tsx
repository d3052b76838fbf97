import { Button } from 'tdesign-react';
import { AddIcon, CloseIcon } from 'tdesign-icons-react';
import { useTranslation } from 'react-i18next';
import type { ControlProps } from '@/pages/events/Suggest';
import type { Header } from './values';

/** Headers by name and value. */
export function HeaderRows({
  rows,
  onChange,
  control,
  label,
  secret = false,
}: {
  rows: Header[];
  onChange: (rows: Header[]) => void;
  control: ControlProps;
  label: string;
  secret?: boolean;
}) {
  const { t } = useTranslation('subscriptions');
  const change = (i: number, part: Partial<Header>) => onChange(rows.map((row, at) => (at === i ? { ...row, ...part } : row)));
  return (
    <div className="subscriptions-headers" role="group" id={control.id} aria-label={label} aria-describedby={control['aria-describedby']}>
      {rows.map((row, i) => (
        <div key={i} className="row">
          <input
            type="text"
            value={row.name}
            placeholder="X-Tenant"
            aria-label={t('headers.name', { number: i + 1 })}
            onChange={(event) => change(i, { name: event.target.value })}
          />
          <input
            type={secret ? 'password' : 'text'}
            autoComplete="off"
            value={row.value}
            aria-label={t('headers.value', { number: i + 1 })}
            onChange={(event) => change(i, { value: event.target.value })}
          />
          <Button
            variant="text"
            shape="square"
            icon={<CloseIcon />}
            aria-label={t('headers.remove', { number: i + 1 })}
            onClick={() => onChange(rows.filter((_, at) => at !== i))}
          />
        </div>
      ))}
      <Button
        size="small"
        variant="outline"
        theme="default"
        icon={<AddIcon />}
        onClick={() => onChange([...rows, { name: '', value: '' }])}
      >
        {t('headers.add')}
      </Button>
    </div>
  );
}
