import { Button } from 'tdesign-react';
import { useQuery } from '@tanstack/react-query';
import { useId, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { call, queryClient, useApiMutation, type Problem, type Reply, type Schema } from '@/api/client';
import { Loading, notify, ProblemNote, Time, useLanguage, useOperations } from '@/shared';
import { paramsOf, type AuthorizerDetail } from './authorizer';

type Option = Schema<'Option'>;

const path = '/v1/authorizers/{appid}/options';

/** The settings of an account that are kept at WeChat. WeChat is asked when they are opened, not again and again. */
export function Options({ of }: { of: AuthorizerDetail }) {
  const { t } = useTranslation('authorizers');
  const params = paramsOf({ appid: of.appid, component: of.component_appid });
  const key = [path, params];
  const read = useQuery<Reply<'get', typeof path>, Problem>({
    queryKey: key,
    queryFn: ({ signal }) => call('get', path, { params, signal }),
    staleTime: Infinity,
  });
  const keep = (changed: Option) =>
    queryClient.setQueryData<Reply<'get', typeof path>>(key, (before) =>
      before && { ...before, items: before.items.map((option) => (option.name === changed.name ? changed : option)) },
    );
  return (
    <section className="stack" aria-labelledby="options">
      <h2 id="options">{t('section.options')}</h2>
      <p className="hint">{t('options.hint')}</p>
      <ProblemNote error={read.error} />
      {read.isLoading && <Loading />}
      {read.data?.items.map((option) => <OneOption key={option.name} of={of} option={option} onSet={keep} />)}
      {!read.isLoading && (
        <div className="row">
          <Button variant="outline" loading={read.isFetching} onClick={() => void read.refetch()}>
            {t('options.again')}
          </Button>
          {read.dataUpdatedAt > 0 && (
            <span className="hint">
              {t('options.asked')} <Time at={new Date(read.dataUpdatedAt).toISOString()} />
            </span>
          )}
        </div>
      )}
    </section>
  );
}

function OneOption({ of, option, onSet }: { of: AuthorizerDetail; option: Option; onSet: (changed: Option) => void }) {
  const { t } = useTranslation('authorizers');
  const { language, text } = useLanguage();
  const { reason } = useOperations();
  const id = useId();
  const [chosen, setChosen] = useState(option.value);
  const title = text({ zh: option.title_zh, en: option.title });
  const set = useApiMutation('put', '/v1/authorizers/{appid}/options/{name}', {
    onSuccess: (changed) => {
      onSet(changed);
      notify('success', t('options.set', { title }));
    },
  });
  const why = option.writable ? reason('authorizers:write') : undefined;
  const problem = language === 'zh' ? option.error_zh : option.error;
  return (
    <fieldset className="panel choices" aria-describedby={`${id}-about`}>
      <legend>{title}</legend>
      <p id={`${id}-about`} className="hint">
        {t(`options.about.${option.name}`, { defaultValue: '' })} <code>{option.name}</code>
      </p>
      {problem && <p className="mistake">{t('options.unreadable', { problem })}</p>}
      {option.writable && (
        <>
          {option.values.map(({ value, title: name, title_zh }) => (
            <label key={value}>
              <input
                type="radio"
                name={`${id}-${option.name}`}
                checked={chosen === value}
                disabled={why !== undefined}
                onChange={() => setChosen(value)}
              />
              <span>
                {text({ zh: title_zh, en: name })} {value === option.value && <span className="hint">{t('options.present')}</span>}
              </span>
            </label>
          ))}
          {why && <p className="hint">{why}</p>}
          <ProblemNote error={set.error} />
          {chosen !== option.value && (
            <div className="row">
              <Button
                loading={set.isPending}
                onClick={() =>
                  set.mutate({
                    params: { path: { appid: of.appid, name: option.name as 'location_report' }, query: { component: of.component_appid } },
                    body: { value: chosen },
                  })
                }
              >
                {t('options.save')}
              </Button>
              <Button variant="text" onClick={() => setChosen(option.value)}>
                {t('cancel')}
              </Button>
            </div>
          )}
        </>
      )}
    </fieldset>
  );
}
