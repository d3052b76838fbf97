import { Button } from 'tdesign-react';
import { ViewListIcon } from 'tdesign-icons-react';
import { lazy, Suspense, useState, type ComponentType, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, NavLink, Navigate, Route, Routes, useLocation } from 'react-router';
import { groups, pages, type Page } from '@/page';
import { useSetup } from '@/session/session';
import { Dialog, Loading, PageHeader, useLanguage, useNarrow, useOperations } from '@/shared';
import { Boundary } from './Boundary';
import { Preferences } from './Preferences';
import { UserMenu } from './UserMenu';

const Account = lazy(() => import('@/session/Account'));

/** The pages that this session sees. */
function usePages(): Page[] {
  const { may } = useOperations();
  const simulator = useSetup().data?.simulator ?? false;
  return pages.filter((page) => may(...page.needs) && (simulator || !page.simulator));
}

/** The console around its pages. */
export function Shell() {
  const { t } = useTranslation('layout');
  const narrow = useNarrow();
  const [open, setOpen] = useState(false);
  const seen = usePages();
  const home = seen[0]?.path ?? '/account';
  return (
    <div className="shell">
      <a className="skip" href="#content">
        {t('skip')}
      </a>
      <header className="top">
        {narrow && (
          <Button variant="text" shape="square" aria-label={t('menu')} aria-expanded={open} icon={<ViewListIcon />} onClick={() => setOpen(true)} />
        )}
        <Link to={home} className="brand">
          <img src="/console/icon.svg" alt="" width="24" height="24" />
          {t('name')}
        </Link>
        <div className="top-end">
          {!narrow && <Preferences />}
          <UserMenu />
        </div>
      </header>
      {!narrow && (
        <div className="side">
          <Menu pages={seen} />
        </div>
      )}
      {narrow && open && (
        <Dialog side title={t('menu')} onClose={() => setOpen(false)} footer={<Preferences />}>
          <Menu pages={seen} onChoose={() => setOpen(false)} />
        </Dialog>
      )}
      <main id="content" tabIndex={-1}>
        <Routes>
          <Route path="/" element={<Navigate to={home} replace />} />
          {pages.map((page) => (
            <Route key={page.path} path={page.path}>
              <Route index element={<Guarded page={page} component={page.component} />} />
              {Object.entries(page.routes ?? {}).map(([path, component]) => (
                <Route key={path} path={path} element={<Guarded page={page} component={component} />} />
              ))}
            </Route>
          ))}
          <Route path="/account" element={<Safe><Account /></Safe>} />
          <Route path="*" element={<NotFound home={home} />} />
        </Routes>
      </main>
    </div>
  );
}

function Menu({ pages, onChoose }: { pages: Page[]; onChoose?: () => void }) {
  const { t } = useTranslation('layout');
  const { text } = useLanguage();
  return (
    <nav className="menu" aria-label={t('pages')}>
      {groups.map((group) => {
        const listed = pages.filter((page) => page.group === group);
        return (
          listed.length > 0 && (
            <section key={group}>
              <h2>{t(`group.${group}`)}</h2>
              <ul>
                {listed.map((page) => (
                  <li key={page.path}>
                    <NavLink to={page.path} onClick={onChoose}>
                      {page.icon}
                      {text(page.title)}
                    </NavLink>
                  </li>
                ))}
              </ul>
            </section>
          )
        );
      })}
    </nav>
  );
}

function Guarded({ page, component: Component }: { page: Page; component: ComponentType }) {
  const { t } = useTranslation('shared');
  const { may } = useOperations();
  if (!may(...page.needs)) {
    return <PageHeader title={t('forbidden.title')} note={t('forbidden.detail', { needs: page.needs.join(', ') })} />;
  }
  return (
    <Safe>
      <Component />
    </Safe>
  );
}

/** Waits for a page's code, and keeps its failure inside. */
function Safe({ children }: { children: ReactNode }) {
  const { pathname } = useLocation();
  return (
    <Boundary key={pathname}>
      <Suspense fallback={<Loading />}>{children}</Suspense>
    </Boundary>
  );
}

function NotFound({ home }: { home: string }) {
  const { t } = useTranslation('shared');
  return (
    <>
      <PageHeader title={t('notFound.title')} />
      <p>
        <Link to={home}>{t('notFound.home')}</Link>
      </p>
    </>
  );
}
