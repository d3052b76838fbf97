import { Button } from 'tdesign-react';
import { ArrowUpIcon, PauseIcon, PlayIcon } from 'tdesign-icons-react';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { DataTable, ProblemNote, Time, type Column } from '@/shared';
import { Kind } from './Kind';
import { useTail, type Event, type EventFilter } from './useTail';

/** Events as they arrive. Rows do not move while somebody reads further down, or has paused. */
export function Tail({ filter, filtered }: { filter: EventFilter; filtered: boolean }) {
  const { t } = useTranslation('events');
  const [paused, setPaused] = useState(false);
  const top = useRef<HTMLDivElement>(null);
  const away = useAway(top);
  const tail = useTail(filter, paused || away);
  const columns: Array<Column<Event>> = [
    { key: 'kind', title: t('column.kind'), render: (row) => <EventLink row={row} /> },
    { key: 'received', title: t('column.received'), render: (row) => <Time at={row.received_at} exact /> },
    {
      key: 'account',
      title: t('column.account'),
      render: (row) => (row.authorizer_appid ? <code>{row.authorizer_appid}</code> : t('ofComponent')),
    },
    { key: 'component', title: t('column.component'), render: (row) => <code>{row.component_appid || '—'}</code> },
    { key: 'seq', title: t('column.seq'), render: (row) => row.seq },
    { key: 'id', title: t('column.id'), render: (row) => row.id },
  ];
  const toTop = () => {
    setPaused(false);
    tail.show();
    top.current?.scrollIntoView({ block: 'end' });
  };
  return (
    <>
      <div className="row events-bar">
        <Button
          theme="default"
          variant="outline"
          aria-pressed={paused}
          icon={paused ? <PlayIcon /> : <PauseIcon />}
          onClick={() => setPaused(!paused)}
        >
          {t(paused ? 'tail.resume' : 'tail.pause')}
        </Button>
        <span className="hint" role="status">
          {paused ? t('tail.paused') : t('tail.live')}
        </span>
      </div>
      <div ref={top} className="events-top" />
      {tail.waiting > 0 && (
        <div className="events-pill">
          <Button shape="round" icon={<ArrowUpIcon />} onClick={toTop}>
            {t('tail.new', { count: tail.waiting })}
          </Button>
        </div>
      )}
      <DataTable
        label={t('title')}
        columns={columns}
        rows={tail.rows}
        rowKey={(row) => row.id}
        error={tail.error}
        retry={tail.retry}
        filtered={filtered}
        empty={t('tail.empty')}
      />
      {tail.older && (
        <p className="events-older">
          <Button theme="default" variant="outline" loading={tail.olderBusy} onClick={tail.older}>
            {t('tail.older')}
          </Button>
        </p>
      )}
      <ProblemNote error={tail.olderError} />
    </>
  );
}

function EventLink({ row }: { row: Event }) {
  return (
    <Link to={`/events/${row.id}`}>
      <Kind kind={row.kind} />
    </Link>
  );
}

/** Whether an element is scrolled out of view at the top. */
function useAway(element: { current: Element | null }): boolean {
  const [away, setAway] = useState(false);
  useEffect(() => {
    const observed = element.current;
    if (!observed) return;
    // The bar of the shell covers the first pixels.
    const observer = new IntersectionObserver(([entry]) => entry && setAway(!entry.isIntersecting && entry.boundingClientRect.top < 100), {
      rootMargin: '-60px 0px 0px 0px',
    });
    observer.observe(observed);
    return () => observer.disconnect();
  }, [element]);
  return away;
}
