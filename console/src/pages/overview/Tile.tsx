import type { ReactNode } from 'react';
import { StateTag } from '@/shared';

/** One figure: what it is, how it is, and what that means. */
export function Tile({
  title,
  value,
  state,
  hint,
  children,
}: {
  title: string;
  value: ReactNode;
  /** In words and colour, where there is a judgement. */
  state?: 'ok' | 'warning' | 'critical';
  hint: ReactNode;
  children?: ReactNode;
}) {
  return (
    <article className="panel tile">
      <h3>{title}</h3>
      <p className="row figure">
        <strong>{value}</strong>
        {state && <StateTag state={state} />}
      </p>
      {children && <p className="facts">{children}</p>}
      <p className="hint">{hint}</p>
    </article>
  );
}
