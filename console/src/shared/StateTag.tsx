import { Tag } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import type { ReactNode } from 'react';

type Theme = 'success' | 'warning' | 'danger' | 'primary' | 'default';

const themes: Record<string, Theme> = {
  active: 'success',
  needs_reauthorization: 'warning',
  revoked: 'default',
  pending: 'primary',
  running: 'primary',
  done: 'success',
  failed: 'danger',
  cancelled: 'default',
  delivered: 'success',
  dead: 'danger',
  paused: 'warning',
  disabled: 'default',
  enabled: 'success',
  expired: 'default',
  used: 'success',
  ok: 'success',
  warning: 'warning',
  critical: 'danger',
  info: 'primary',
  error: 'danger',
  skipped: 'default',
};

/** A state in words and colour. `label` overrides the words, `theme` the colour. */
export function StateTag({ state, label, theme }: { state: string; label?: ReactNode; theme?: Theme }) {
  const { t } = useTranslation('shared');
  return (
    <Tag variant="light-outline" theme={theme ?? themes[state] ?? 'default'} className="state">
      {label ?? (state in themes ? t(`state.${state}`) : state)}
    </Tag>
  );
}
