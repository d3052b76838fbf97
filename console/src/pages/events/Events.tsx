import { useTranslation } from 'react-i18next';
import { PageHeader, useFilters } from '@/shared';
import { EventFilters, type FilterName } from './Filters';
import { Tabs } from './Tabs';
import { Tail } from './Tail';
import './style.css';

export default function Events() {
  const { t } = useTranslation('events');
  const filters = useFilters<FilterName>('component', 'authorizer', 'kind', 'since', 'until');
  return (
    <>
      <PageHeader title={t('title')} note={t('note')} />
      <Tabs />
      <EventFilters filters={filters} />
      <Tail key={JSON.stringify(filters.query)} filter={filters.query} filtered={filters.active} />
    </>
  );
}
