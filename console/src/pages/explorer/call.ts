import { useMutation } from '@tanstack/react-query';
import { call, invalidate, type Init, type Problem, type Schema } from '@/api/client';
import { readJson, writeJson, type Json } from './exact';
import type { Target } from './endpoint';

export type Answer = Omit<Schema<'CalledAnswer'>, 'body'> & { body: Json };

export interface Call {
  endpoint: string;
  target: Target;
  query: Record<string, string>;
  /** Undefined for none. */
  body: Json | undefined;
}

/** Calls WeChat, once: what was not answered may have taken effect. Numbers stay exact both ways. */
export function useCall() {
  return useMutation<Answer, Problem, Call>({
    async mutationFn({ endpoint, target, query, body }) {
      const request: Schema<'CallBody'> = {
        endpoint,
        query,
        ...(target.authorizer ? { authorizer_appid: target.authorizer } : {}),
        ...(target.component ? { component_appid: target.component } : {}),
        ...(body === undefined ? {} : { body }),
      };
      const init: Init<'post', '/v1/calls'> = { body: request, bodySerializer: (value) => writeJson(value), parseAs: 'text' };
      const text: unknown = await call('post', '/v1/calls', init);
      return readJson(String(text)) as unknown as Answer;
    },
    onSettled: () => invalidate('/v1/authorizers/{appid}/calls'),
  });
}
