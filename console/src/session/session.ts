import { createContext, useContext } from 'react';
import { Problem, queryClient, useApiQuery, type Schema } from '@/api/client';

/** Who is signed in, and what they may do. */
export type Session = Schema<'Session'>;

export const sessionKey = ['/v1/session'];

/** The session; null when nobody is signed in. It does not open the sign-in dialog. */
export async function readSession(): Promise<Session | null> {
  const response = await fetch('/v1/session', { cache: 'no-store' }).catch(() => {
    throw Problem.disconnected();
  });
  if (response.status === 401 || response.status === 404) return null;
  if (!response.ok) throw await Problem.from(response);
  return (await response.json()) as Session;
}

export function keepSession(session: Session | null): void {
  queryClient.setQueryData(sessionKey, session);
}

/** What is known before anybody signs in. */
export function useSetup() {
  return useApiQuery('/v1/setup');
}

export const SessionContext = createContext<Session | null>(null);

/** The session of the operator who is signed in. Only below the shell. */
export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error('no session');
  return session;
}

/** Ends the session, and forgets everything that it showed. */
export async function signOut(): Promise<void> {
  await fetch('/v1/session', { method: 'DELETE' }).catch(() => undefined);
  forget();
  location.assign('/console/');
}

/** Removes what the operator before had on the screen or half typed. */
export function forget(): void {
  sessionStorage.clear();
  queryClient.clear();
}
