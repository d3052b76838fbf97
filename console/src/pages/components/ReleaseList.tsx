import { Button } from 'tdesign-react';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { call, type Problem, type Schema } from '@/api/client';
import { ProblemNote, StateTag, useLanguage } from '@/shared';
import { useFreshness, type Component } from './component';

type Fact = { name: string; state: 'ok' | 'warning' | 'failed' | 'unknown'; detail?: string };

const manual = ['urls', 'domain', 'sets', 'account', 'slow'] as const;
const pushes = ['ticket', 'authorized', 'text', 'query', 'event', 'unauthorized'] as const;
const troubles = ['ticket', 'text', 'api', 'permission', 'ip'] as const;

/** What to see to before the button in WeChat's console is pressed; what can be seen from here is ticked. */
export function ReleaseList({ of }: { of: Component }) {
  const { t } = useTranslation('components');
  const fresh = useFreshness()(of.appid);
  const examine = useMutation<Schema<'Report'>, Problem>({ mutationFn: () => call('post', '/v1/doctor') });
  const { language } = useLanguage();
  const found = (name: string, about: string): Fact => {
    const check = examine.data?.checks.find((one) => one.name === name && one.detail.includes(about));
    if (!check) return { name, state: 'unknown' };
    return {
      name,
      state: check.status === 'ok' ? 'ok' : check.status === 'failed' ? 'failed' : 'warning',
      detail: language === 'zh' ? [check.detail_zh, check.action_zh].filter(Boolean).join('；') : [check.detail, check.action].filter(Boolean).join('; '),
    };
  };
  const level = (of: 'ok' | 'warning' | 'critical' | undefined): Fact['state'] => (of === undefined ? 'unknown' : of === 'critical' ? 'failed' : of);
  const facts: Array<Fact & { title: string }> = [
    { ...found('public address', ''), title: t('release.fact.public') },
    { name: 'ticket', state: level(fresh?.ticket.level), title: t('release.fact.ticket') },
    { name: 'token', state: of.problem ? 'failed' : level(fresh?.token.level), ...(of.problem ? { detail: of.problem } : {}), title: t('release.fact.token') },
    { ...found('whitelist, secret', of.appid), ...(of.egress_ip ? { state: 'failed' as const, detail: of.egress_ip } : {}), title: t('release.fact.whitelist') },
    { ...found('clock', ''), title: t('release.fact.clock') },
  ];
  return (
    <>
      <section className="panel" aria-labelledby="facts">
        <h2 id="facts">{t('release.facts')}</h2>
        <ul className="components-results">
          {facts.map(({ name, title, state, detail }) => (
            <li key={name}>
              <StateTag state={state} {...(state === 'unknown' ? { label: t('release.unknown') } : {})} />
              <div>
                {title}
                {detail && <p className="hint">{detail}</p>}
              </div>
            </li>
          ))}
        </ul>
        <ProblemNote error={examine.error} />
        <Button variant="outline" loading={examine.isPending} onClick={() => examine.mutate()}>
          {t('release.examine')}
        </Button>
        <p className="hint">{t('release.examineHint')}</p>
      </section>
      <ByHand appid={of.appid} />
      <section className="panel" aria-labelledby="happens">
        <h2 id="happens">{t('release.happens')}</h2>
        <p>{t('release.happensHint')}</p>
        <ol>
          {pushes.map((step) => (
            <li key={step}>{t(`release.push.${step}`)}</li>
          ))}
        </ol>
      </section>
      <section className="panel" aria-labelledby="fails">
        <h2 id="fails">{t('release.fails')}</h2>
        <dl className="components-addresses">
          {troubles.map((trouble) => (
            <div key={trouble}>
              <dt>{t(`release.trouble.${trouble}.row`)}</dt>
              <dd>{t(`release.trouble.${trouble}.help`)}</dd>
            </div>
          ))}
        </dl>
      </section>
    </>
  );
}

/** What only a person can see to; the ticks stay in this browser's session. */
function ByHand({ appid }: { appid: string }) {
  const { t } = useTranslation('components');
  const key = `tuoguan.release.${appid}`;
  const [ticked, setTicked] = useState<string[]>(() => (sessionStorage.getItem(key) ?? '').split(',').filter(Boolean));
  const toggle = (name: string) => {
    const next = ticked.includes(name) ? ticked.filter((other) => other !== name) : [...ticked, name];
    sessionStorage.setItem(key, next.join());
    setTicked(next);
  };
  return (
    <section className="panel" aria-labelledby="manual">
      <h2 id="manual">{t('release.manual')}</h2>
      <div className="components-ticks">
        {manual.map((name) => (
          <label key={name} className="components-check">
            <input type="checkbox" checked={ticked.includes(name)} onChange={() => toggle(name)} />
            <span>{t(`release.do.${name}`)}</span>
          </label>
        ))}
      </div>
    </section>
  );
}
