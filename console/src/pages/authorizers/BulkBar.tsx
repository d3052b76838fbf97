import { Button } from 'tdesign-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useApiMutation, type Schema } from '@/api/client';
import { ConfirmDialog, ProgressDialog, useOperations } from '@/shared';
import { jobSelection, type AccountSelection } from './selection';
import { TagDialog } from './TagDialog';

const actions = [
  { name: 'refresh', kind: 'refresh-authorizers', needs: 'tokens:refresh' },
  { name: 'verify', kind: 'verify-authorizers', needs: 'tokens:refresh' },
  { name: 'addTags', kind: 'tag-authorizers', needs: 'authorizers:write' },
  { name: 'removeTags', kind: 'tag-authorizers', needs: 'authorizers:write' },
] as const;

type Action = (typeof actions)[number];

/** The API takes so many accounts by name. */
const mostNamed = 1_000;

/** What is chosen, and what can be done with all of it. */
export function BulkBar({ selection, filters }: { selection: AccountSelection; filters: Partial<Record<string, string>> }) {
  const { t } = useTranslation('authorizers');
  const { reason } = useOperations();
  const [asked, setAsked] = useState<Action>();
  const [job, setJob] = useState<{ id: string; title: string }>();
  const start = useApiMutation('post', '/v1/jobs', { invalidates: ['/v1/authorizers'] });
  const { ids, all } = selection;
  const what = all ? t('bulk.allMatching') : t('bulk.chosen', { count: ids.length });
  const impossible = all && filters.permission_set ? t('bulk.noSets') : ids.length > mostNamed ? t('bulk.tooMany', { most: mostNamed }) : undefined;
  const run = async (action: Action, rest: Partial<Schema<'JobBody'>> = {}) => {
    const { id } = await start.mutateAsync({ body: { kind: action.kind, authorizers: jobSelection(selection, filters), ...rest } });
    setJob({ id, title: t(`bulk.${action.name}.title`, { what }) });
    selection.clear();
  };
  return (
    <div className="bulk" role="group" aria-label={t('bulk.title')}>
      <span aria-live="polite">{ids.length === 0 && !all ? t('bulk.none') : what}</span>
      {!all && (
        <Button size="small" variant="text" onClick={selection.chooseAll}>
          {t('bulk.chooseAll')}
        </Button>
      )}
      {(all || ids.length > 0) && (
        <Button size="small" variant="text" onClick={selection.clear}>
          {t('bulk.clear')}
        </Button>
      )}
      {(all || ids.length > 0) &&
        actions.map((action) => {
          const why = impossible ?? reason('jobs:run', action.needs);
          return (
            <Button
              key={action.name}
              tag="button"
              size="small"
              variant="outline"
              disabled={why !== undefined}
              {...(why ? { title: why } : {})}
              onClick={() => setAsked(action)}
            >
              {t(`bulk.${action.name}.name`)}
            </Button>
          );
        })}
      {(all || ids.length > 0) && <span className="hint">{impossible ?? reason('jobs:run')}</span>}
      {asked && asked.kind !== 'tag-authorizers' && (
        <ConfirmDialog
          title={t(`bulk.${asked.name}.title`, { what })}
          action={t(`bulk.${asked.name}.name`)}
          onConfirm={() => run(asked)}
          onClose={() => setAsked(undefined)}
        >
          <p>{t(`bulk.${asked.name}.explain`)}</p>
        </ConfirmDialog>
      )}
      {asked?.kind === 'tag-authorizers' && (
        <TagDialog
          field={asked.name === 'addTags' ? 'add_tags' : 'remove_tags'}
          title={t(`bulk.${asked.name}.title`, { what })}
          action={t(`bulk.${asked.name}.name`)}
          hint={t(`bulk.${asked.name}.explain`)}
          initial={[]}
          save={(tags) => run(asked, asked.name === 'addTags' ? { add_tags: tags } : { remove_tags: tags })}
          onClose={() => setAsked(undefined)}
        />
      )}
      {job && <ProgressDialog id={job.id} title={job.title} onClose={() => setJob(undefined)} />}
    </div>
  );
}
