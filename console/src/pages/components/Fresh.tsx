import type { Freshness } from '@/pages/overview/freshness';
import { Duration, StateTag } from '@/shared';

/** How old, or how long to live, and whether that is well. */
export function Fresh({ of, text }: { of: Freshness | undefined; text?: (seconds: React.ReactNode) => React.ReactNode }) {
  if (!of) return <span>—</span>;
  const seconds = <Duration seconds={of.seconds ?? null} />;
  return (
    <span className="row">
      {text ? text(seconds) : seconds}
      <StateTag state={of.level} />
    </span>
  );
}
