import { QueryClientProvider, useQuery } from '@tanstack/react-query';
import { ConfigProvider } from 'tdesign-react';
import enUS from 'tdesign-react/es/locale/en_US';
import zhCN from 'tdesign-react/es/locale/zh_CN';
import { lazy, Suspense } from 'react';
import { BrowserRouter, Navigate, Route, Routes, useLocation } from 'react-router';
import type { Problem } from '@/api/problem';
import { queryClient } from '@/api/queries';
import { useLanguage } from '@/i18n';
import { Login } from '@/session/Login';
import { readSession, SessionContext, sessionKey, useSetup, type Session } from '@/session/session';
import { SignInDialog } from '@/session/SignInDialog';
import { Loading, ProblemNote } from '@/shared/feedback';
import { Disconnected } from './Disconnected';
import { Notices } from './Notices';
import { Shell } from './Shell';

const Setup = lazy(() => import('@/setup/Setup'));

export function App() {
  const { language } = useLanguage();
  return (
    <QueryClientProvider client={queryClient}>
      <ConfigProvider globalConfig={language === 'zh' ? zhCN : enUS}>
        <BrowserRouter basename="/console">
          <Suspense fallback={<Loading />}>
            <Disconnected />
            <Gate />
            <SignInDialog />
            <Notices />
          </Suspense>
        </BrowserRouter>
      </ConfigProvider>
    </QueryClientProvider>
  );
}

/** Decides between the set-up, the sign-in page and the console. */
function Gate() {
  const setup = useSetup();
  const session = useQuery<Session | null, Problem>({ queryKey: sessionKey, queryFn: readSession, staleTime: Infinity });
  const { pathname } = useLocation();
  if (setup.error && !setup.data) return <ProblemNote error={setup.error} retry={() => void setup.refetch()} />;
  if (!setup.data || session.data === undefined) {
    return session.error ? <ProblemNote error={session.error} retry={() => void session.refetch()} /> : <Loading />;
  }
  const current = session.data;
  if (setup.data.needed && !current) {
    return pathname === '/setup' ? <Setup /> : <Navigate to="/setup" replace />;
  }
  // The set-up asks by itself for what has to be done first.
  if (!current || (current.must.length > 0 && pathname !== '/setup')) return <Login />;
  return <SignedIn session={current} />;
}

function SignedIn({ session }: { session: Session }) {
  return (
    <SessionContext value={session}>
      <Routes>
        <Route path="/setup" element={<Setup />} />
        <Route path="/*" element={<Shell />} />
      </Routes>
    </SessionContext>
  );
}
