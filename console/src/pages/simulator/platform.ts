import { useMutation } from '@tanstack/react-query';
import { invalidate, send, useSendQuery, type Problem } from '@/api/client';

/** A merchant's account as the simulated WeChat has it. */
export interface Account {
  appid: string;
  user_name: string;
  kind: 'official_account' | 'mini_program';
  nick_name: string;
  authorizations: Array<{ component_appid: string; standing: boolean; permission_sets: number[] }> | null;
}

export interface SimulatedComponent {
  appid: string;
  name: string;
  permission_sets: number[];
}

/** What came of a push: WeChat tries three times. */
export interface Push {
  attempts: Array<{ status: number; latency_ms: number; problem?: string }>;
  accepted: boolean;
  problem?: string;
}

export interface Clock {
  now: string;
  offset_seconds: number;
}

/** The accounts without those that the release check brings with it. */
export function useAccounts() {
  const read = useSendQuery<Account[]>('/simulator/accounts', {}, { refetchInterval: 3_000 });
  return { ...read, data: read.data?.filter(({ nick_name: name }) => !name.startsWith('全网发布测试')) };
}

export function useSimulatedComponents() {
  return useSendQuery<SimulatedComponent[]>('/simulator/components');
}

export function useClock() {
  return useSendQuery<Clock>('/simulator/clock', {}, { refetchInterval: 2_000 });
}

/** The authorizations of an account that stand. */
export function standing(account: Account) {
  return (account.authorizations ?? []).filter((authorization) => authorization.standing);
}

/** Makes the simulated WeChat do something; whatever may have changed is read again. */
export function useControl<Reply>(method: 'POST' | 'PUT' = 'POST') {
  return useMutation<Reply, Problem, { path: string; body?: unknown }>({
    mutationFn: ({ path, body = {} }) => send<Reply>(method, `/simulator${path}`, { body }),
    onSettled: () =>
      invalidate(
        '/simulator/accounts', '/simulator/clock', '/simulator/faults', '/simulator/journal', '/v1/authorizers',
        '/v1/authorizers/{appid}', '/v1/authorizers/{appid}/history', '/v1/overview',
      ),
  });
}
