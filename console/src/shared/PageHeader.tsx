import { useEffect, useRef, type ReactNode } from 'react';
import { useLocation } from 'react-router';
import { useTranslation } from 'react-i18next';

/** The heading of a page: also the document's title, and what a navigation moves the focus to. */
export function PageHeader({ title, children, note }: { title: string; note?: ReactNode; children?: ReactNode }) {
  const { t } = useTranslation('shared');
  const { pathname, key } = useLocation();
  const heading = useRef<HTMLHeadingElement>(null);
  // The document's first page keeps the focus where the browser has it; so do filters and
  // sections, which change the query only.
  const reached = useRef(key === 'default' ? pathname : undefined);
  useEffect(() => {
    if (reached.current === pathname) return;
    reached.current = pathname;
    heading.current?.focus({ preventScroll: true });
  }, [pathname]);
  useEffect(() => {
    document.title = `${title} · ${t('app')}`;
  }, [title, t]);
  return (
    <header className="page-header">
      <div>
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {note && <p className="note">{note}</p>}
      </div>
      {children && <div className="page-actions">{children}</div>}
    </header>
  );
}
