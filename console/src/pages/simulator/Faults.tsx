import { Button } from 'tdesign-react';
import { useEffect, useId, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useSendQuery } from '@/api/client';
import { Loading, notify, ProblemNote, useOperations } from '@/shared';
import { lengths, modes, presets, probabilities, type FaultValues } from './faults';
import { useControl } from './platform';

/** How WeChat misbehaves: every knob there is. */
export function Faults() {
  const { t } = useTranslation('simulator');
  const { reason } = useOperations();
  const read = useSendQuery<FaultValues>('/simulator/faults', {}, { refetchInterval: 3_000 });
  const put = useControl<FaultValues>('PUT');
  const why = reason('authorizers:write');
  const set = (values: FaultValues) => put.mutate({ path: '/faults', body: values }, { onError: notify });
  const faults = read.data;
  if (!faults) return read.error ? <ProblemNote error={read.error} retry={() => void read.refetch()} /> : <Loading />;
  const active = Object.values(probabilities).flat().filter((name) => Number(faults[name]) > 0).length;
  return (
    <>
      <p>{t('faults.explain')}</p>
      <div className="panel">
        <div className="row">
          <span>{t('faults.presets')}</span>
          {presets.map((preset) => (
            <Button tag="button"
              key={preset}
              variant="outline"
              theme={preset === 'hostile' ? 'danger' : 'default'}
              disabled={!!why}
              {...(why ? { title: why } : {})}
              onClick={() => put.mutate({ path: '/faults', body: { preset } }, { onSuccess: () => notify('success', t('faults.set', { preset: t(`faults.preset.${preset}`) })), onError: notify })}
            >
              {t(`faults.preset.${preset}`)}
            </Button>
          ))}
        </div>
        <p className="hint" role="status">
          {t('faults.active', { count: active })}
        </p>
      </div>
      {(Object.keys(probabilities) as Array<keyof typeof probabilities>).map((group) => (
        <section key={group} className="panel" aria-labelledby={`faults-${group}`}>
          <h2 id={`faults-${group}`}>{t(`faults.group.${group}`)}</h2>
          <div className="simulator-knobs">
            {probabilities[group].map((name) => (
              <Probability key={name} name={name} value={Number(faults[name])} refused={why} onChange={(value) => set({ [name]: value })} />
            ))}
          </div>
        </section>
      ))}
      <section className="panel" aria-labelledby="faults-modes">
        <h2 id="faults-modes">{t('faults.group.modes')}</h2>
        <div className="simulator-knobs">
          {(Object.keys(modes) as Array<keyof typeof modes>).map((name) => (
            <label key={name} className="field">
              <span>{t(`faults.knob.${name}`)}</span>
              <select
                value={String(faults[name])}
                disabled={!!why}
                onChange={(event) => set({ [name]: name === 'revoked_errcode' ? Number(event.target.value) : event.target.value })}
              >
                {modes[name].map((mode) => (
                  <option key={mode} value={mode}>
                    {t(`faults.mode.${mode}`)}
                  </option>
                ))}
              </select>
            </label>
          ))}
        </div>
      </section>
      <section className="panel" aria-labelledby="faults-lengths">
        <h2 id="faults-lengths">{t('faults.group.lengths')}</h2>
        <div className="simulator-knobs">
          {lengths.map((name) => (
            <Length key={name} name={name} value={Number(faults[name])} refused={why} onChange={(value) => set({ [name]: value })} />
          ))}
        </div>
      </section>
    </>
  );
}

interface Knob {
  name: string;
  value: number;
  refused: string | undefined;
  onChange: (value: number) => void;
}

/** A slider in percent; what it was moved to is set when it is let go. */
function Probability({ name, value, refused, onChange }: Knob) {
  const { t } = useTranslation('simulator');
  const id = useId();
  const [moved, setMoved] = useState(value);
  useEffect(() => setMoved(value), [value]);
  const commit = () => moved !== value && onChange(moved);
  const percent = `${Math.round(moved * 1_000) / 10} %`;
  return (
    <div className="simulator-knob">
      <label htmlFor={id}>{t(`faults.knob.${name}`)}</label>
      <span className="row">
        <input
          id={id}
          type="range"
          min={0}
          max={1}
          step={0.005}
          value={moved}
          disabled={refused !== undefined}
          title={refused}
          aria-valuetext={percent}
          onChange={(event) => setMoved(Number(event.target.value))}
          onPointerUp={commit}
          onKeyUp={commit}
          onBlur={commit}
        />
        <output htmlFor={id}>{percent}</output>
      </span>
    </div>
  );
}

function Length({ name, value, refused, onChange }: Knob) {
  const { t } = useTranslation('simulator');
  const [typed, setTyped] = useState(String(value));
  useEffect(() => setTyped(String(value)), [value]);
  const commit = () => typed.trim() !== '' && Number(typed) !== value && onChange(Number(typed));
  return (
    <label className="field">
      <span>{t(`faults.knob.${name}`)}</span>
      <input
        type="number"
        min={0}
        value={typed}
        disabled={refused !== undefined}
        title={refused}
        onChange={(event) => setTyped(event.target.value)}
        onBlur={commit}
        onKeyDown={(event) => event.key === 'Enter' && commit()}
      />
    </label>
  );
}
