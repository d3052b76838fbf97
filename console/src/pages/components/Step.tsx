import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { StateTag } from '@/shared';

/** One step of something that is done partly here and partly in WeChat's console. */
export function Step({ title, where, state, children }: { title: string; where: 'here' | 'wechat'; state: 'todo' | 'now' | 'done'; children: ReactNode }) {
  const { t } = useTranslation('components');
  return (
    <li className="panel" aria-current={state === 'now' ? 'step' : undefined}>
      <div className="row">
        <h2>{title}</h2>
        <StateTag state={where} label={t(`step.${where}`)} theme={where === 'here' ? 'primary' : 'default'} />
        <StateTag state={state} label={t(`step.${state}`)} theme={state === 'done' ? 'success' : state === 'now' ? 'warning' : 'default'} />
      </div>
      {children}
    </li>
  );
}
