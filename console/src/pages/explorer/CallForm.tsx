import { Button } from 'tdesign-react';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { ConfirmDialog, FormErrors, useForm, useOperations } from '@/shared';
import { BodyEditor } from './BodyEditor';
import { useCall } from './call';
import { Code } from './Code';
import { namesAccount, ownQuery, targets, type Endpoint, type Target } from './endpoint';
import { readJson, writeJson, type Json } from './exact';
import { Permissions } from './Permissions';
import { fixedValue, QueryFields, queryMistakes, type Query } from './QueryFields';
import { ReplyView } from './ReplyView';
import { TargetPicker, useAccount } from './TargetPicker';
import { treeOf } from './tree';
import { beginning, mistakesIn } from './value';

interface Values {
  query: Query;
  /** JSON as text: what both views of it edit. */
  body: string;
}

/** A call from its form to its reply. */
export function CallForm({ endpoint, target, onTarget }: { endpoint: Endpoint; target: Target; onTarget: (target: Target) => void }) {
  const { t } = useTranslation('explorer');
  const { reason } = useOperations();
  const [asking, setAsking] = useState(false);
  const [noTarget, setNoTarget] = useState(false);
  const { account } = useAccount(target);
  const send = useCall();
  const nodes = useMemo(() => treeOf(endpoint.request), [endpoint]);
  const queryFields = ownQuery(endpoint);
  const withBody = endpoint.body === 'json';
  const allowed = targets(endpoint);
  const effective: Target = allowed.includes('account') && target.authorizer ? target : { authorizer: '', component: target.component };
  const missingTarget = !effective.authorizer && !(allowed.includes('component') && effective.component);

  const bodyMistake = (text: string) => {
    const { value, error } = parse(text);
    if (error) return t('wrong.json');
    return Object.keys(mistakesIn(nodes, value)).length > 0 ? t('wrong.body') : undefined;
  };
  const form = useForm<Values>({
    draft: `explorer.${endpoint.id}`,
    initial: { query: {}, body: writeJson(beginning(nodes), 2) },
    check: ({ query, body }) => ({
      query: Object.keys(queryMistakes(queryFields, query)).length > 0 ? t('wrong.query') : undefined,
      body: withBody ? bodyMistake(body) : undefined,
    }),
    submit: async () => {
      if (endpoint.read) await run();
      else setAsking(true);
    },
  });
  const parsed = useMemo(() => parse(form.values.body), [form.values.body]);
  const tried = form.wrong('query') !== undefined || form.wrong('body') !== undefined;
  const run = () => send.mutateAsync({ endpoint: endpoint.id, target: effective, query: form.values.query, body: withBody ? parsed.value : undefined });
  const fixed = namesAccount(endpoint)
    ? {}
    : Object.fromEntries(endpoint.query.flatMap((field) => (fixedValue(field) === undefined ? [] : [[field.name, fixedValue(field)!]])));
  const multipart = endpoint.body === 'multipart';
  const refused = reason('gateway:call') ?? (multipart ? t('multipart') : undefined);

  return (
    <>
      <form
        className="explorer-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          setNoTarget(missingTarget);
          if (!missingTarget) form.submit();
        }}
      >
        <TargetPicker
          allowed={allowed}
          target={target}
          wrong={noTarget && missingTarget ? t(allowed.includes('account') ? 'wrong.account' : 'wrong.component') : undefined}
          onChange={onTarget}
        />
        <Permissions endpoint={endpoint} account={account} />
        {queryFields.length > 0 && (
          <QueryFields
            fields={queryFields}
            query={form.values.query}
            mistakes={tried ? queryMistakes(queryFields, form.values.query) : {}}
            onChange={(query) => form.set('query', query)}
          />
        )}
        {withBody && (
          <BodyEditor
            nodes={nodes}
            text={form.values.body}
            parsed={parsed}
            mistakes={tried && !parsed.error ? mistakesIn(nodes, parsed.value) : {}}
            wrong={form.wrong('body')}
            onChange={(body) => form.set('body', body)}
          />
        )}
        {multipart && <p>{t('multipart')}</p>}
        <FormErrors form={form} />
        <div className="row">
          <Button type="submit" loading={form.busy} tag="button" disabled={refused !== undefined} title={refused}>
            {t(endpoint.read ? 'send' : 'sendChange')}
          </Button>
          <Button variant="text" theme="default" onClick={form.reset}>
            {t('clear')}
          </Button>
        </div>
      </form>
      {send.data && <ReplyView answer={send.data} />}
      <Code endpoint={endpoint} target={{ ...effective, component: effective.component || account?.component_appid || '' }} query={{ ...fixed, ...form.values.query }} body={withBody && parsed.value !== undefined ? writeJson(parsed.value, 2) : undefined} />
      {asking && (
        <ConfirmDialog title={t('confirm.title')} action={t('send')} onConfirm={run} onClose={() => setAsking(false)}>
          <p>{t('confirm.explain')}</p>
          <p>
            <code>
              {endpoint.method} {endpoint.path}
            </code>
          </p>
          <p>{t('confirm.for', { target: account?.nick_name || effective.authorizer || effective.component })}</p>
        </ConfirmDialog>
      )}
    </>
  );
}

/** A body as a value, or that it is no JSON. */
export interface Parsed {
  value?: Json;
  error?: string;
}

function parse(text: string): Parsed {
  if (text.trim() === '') return {};
  try {
    return { value: readJson(text) };
  } catch (error) {
    return { error: (error as Error).message };
  }
}
