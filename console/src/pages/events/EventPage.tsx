import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { Link, useParams } from 'react-router';
import { call, type Problem, type Schema } from '@/api/client';
import { Loading, PageHeader, ProblemNote, useLanguage, XmlView } from '@/shared';
import { Deliveries } from './Deliveries';
import { EventBody } from './EventBody';
import { EventFacts } from './EventFacts';
import { kindText } from './kinds';
import './style.css';

export default function EventPage() {
  const { t } = useTranslation('events');
  const { text } = useLanguage();
  const { id = '' } = useParams();
  // Each reading is written into the audit log, and an event never changes: one is enough.
  const read = useQuery<Schema<'FullEvent'>, Problem>({
    queryKey: ['event', id],
    queryFn: ({ signal }) => call('get', '/v1/events/{id}', { params: { path: { id } }, signal }),
    staleTime: Infinity,
    gcTime: 0,
  });
  const full = read.data;
  const words = full && kindText(full.event.kind);
  return (
    <>
      <p className="events-back">
        <Link to="/events">{t('back')}</Link>
      </p>
      <PageHeader title={words ? text(words) : (full?.event.kind ?? t('event', { id }))} note={t('event', { id })} />
      <ProblemNote error={read.error} retry={() => void read.refetch()} />
      {!full && !read.error && <Loading />}
      {full && (
        <div className="stack">
          <EventFacts event={full.event} />
          <EventBody full={full} />
          {full.reply && (
            <section className="panel">
              <h2>{t('reply.title')}</h2>
              <p className="hint">{t('reply.hint')}</p>
              <XmlView xml={full.reply} what={t('reply.title')} />
            </section>
          )}
          <Deliveries event={full.event} />
        </div>
      )}
    </>
  );
}
