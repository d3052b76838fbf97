import { Button } from 'tdesign-react';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';
import { call, etagOf, invalidate, useApiMutation, type Problem } from '@/api/client';
import { notify, ProblemNote, useOperations } from '@/shared';
import { paramsOf, reauthorizationPath, type AuthorizerDetail } from './authorizer';
import { TagDialog } from './TagDialog';
import { Verified } from './Verified';

const shown = ['/v1/authorizers', '/v1/authorizers/{appid}', '/v1/authorizers/{appid}/history'];

/** Has the access token refreshed. The reply's token is not kept. */
export function useRefresh(of: AuthorizerDetail) {
  const { t } = useTranslation('authorizers');
  return useMutation<void, Problem>({
    mutationFn: async () => {
      await call('post', '/v1/authorizers/{appid}/refresh', { params: paramsOf({ appid: of.appid, component: of.component_appid }) });
    },
    onSuccess: () => notify('success', t('refreshed')),
    onSettled: () => invalidate(...shown),
  });
}

/** What can be done with one authorizer. */
export function Actions({ of }: { of: AuthorizerDetail }) {
  const { t } = useTranslation('authorizers');
  const { reason } = useOperations();
  const navigate = useNavigate();
  const [tagging, setTagging] = useState(false);
  const params = paramsOf({ appid: of.appid, component: of.component_appid });
  const refresh = useRefresh(of);
  const verify = useApiMutation('post', '/v1/authorizers/{appid}/verify', { invalidates: shown });
  const tag = useApiMutation('put', '/v1/authorizers/{appid}/tags', { invalidates: shown });
  const refused = (...needs: string[]) => {
    const why = reason(...needs);
    return { tag: 'button' as const, ...(why ? { disabled: true, title: why } : {}) };
  };
  const missing = reason('tokens:refresh', 'authorizers:write', 'links:write');
  return (
    <div className="stack">
      <div className="row">
        <Button {...(of.state === 'active' ? {} : { variant: 'outline' as const })} {...refused('tokens:refresh')} loading={refresh.isPending} onClick={() => refresh.mutate()}>
          {t('action.refresh')}
        </Button>
        <Button variant="outline" {...refused('authorizers:write')} loading={verify.isPending} onClick={() => verify.mutate({ params })}>
          {t('action.verify')}
        </Button>
        <Button
          variant="outline"
          {...refused('links:write')}
          onClick={() => void navigate(reauthorizationPath(of, of.wanted_permission_sets ?? []))}
        >
          {t('action.link')}
        </Button>
        <Button variant="outline" {...refused('authorizers:write')} onClick={() => setTagging(true)}>
          {t('action.tags')}
        </Button>
        {missing && <span className="hint">{missing}</span>}
      </div>
      <div className="action-results" aria-live="polite">
        <ProblemNote error={refresh.error ?? verify.error} />
        {verify.data && <Verified result={verify.data} onClose={verify.reset} />}
      </div>
      {tagging && (
        <TagDialog
          field="tags"
          title={t('action.tags')}
          action={t('tags.save')}
          hint={t('tags.hint')}
          initial={of.tags}
          save={(tags) => tag.mutateAsync({ params: { ...params, header: { 'If-Match': etagOf(of) } }, body: { tags } })}
          onClose={() => setTagging(false)}
        />
      )}
    </div>
  );
}
