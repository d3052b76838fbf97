import { Button } from 'tdesign-react';
import { AddIcon } from 'tdesign-icons-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate } from 'react-router';
import { useApiQuery } from '@/api/client';
import { DataTable, PageHeader, StateTag, useOperations } from '@/shared';
import { useFreshness } from './component';
import { DoctorDialog } from './DoctorDialog';
import { Fresh } from './Fresh';
import './style.css';

export default function Components() {
  const { t } = useTranslation('components');
  const navigate = useNavigate();
  const { reason } = useOperations();
  const [examining, setExamining] = useState(false);
  const freshness = useFreshness();
  const read = useApiQuery('/v1/components', {}, { refetchInterval: 5_000 });
  const why = reason('components:write');
  const noDoctor = reason('components:read');
  return (
    <>
      <PageHeader title={t('title')} note={t('note')}>
        <Button tag="button" variant="outline" disabled={!!noDoctor} {...(noDoctor ? { title: noDoctor } : {})} onClick={() => setExamining(true)}>
          {t('doctor.action')}
        </Button>
        <Button tag="button" icon={<AddIcon />} disabled={!!why} {...(why ? { title: why } : {})} onClick={() => void navigate('/components/new')}>
          {t('add.action')}
        </Button>
      </PageHeader>
      <DataTable
        label={t('title')}
        {...(read.data ? { rows: read.data.items } : {})}
        error={read.error}
        retry={() => void read.refetch()}
        rowKey={({ appid }) => appid}
        empty={
          <>
            {t('none')} {!why && <Link to="/components/new">{t('add.action')}</Link>}
          </>
        }
        columns={[
          { key: 'appid', title: 'AppID', render: ({ appid }) => <Link to={`/components/${appid}`}>{appid}</Link> },
          {
            key: 'state',
            title: t('state'),
            render: ({ problem }) => (problem ? <StateTag state="warning" label={t('troubled')} /> : <StateTag state="ok" />),
          },
          { key: 'ticket', title: t('ticket.age'), render: ({ appid }) => <Fresh of={freshness(appid)?.ticket} /> },
          { key: 'token', title: t('token.left'), render: ({ appid }) => <Fresh of={freshness(appid)?.token} /> },
          {
            key: 'authorizers',
            title: t('authorizers.title'),
            render: ({ appid, authorizers }) => (
              <Link to={`/authorizers?${new URLSearchParams({ component: appid })}`}>
                {t('authorizers.counts', { active: authorizers.active ?? 0, waiting: authorizers.needs_reauthorization ?? 0 })}
              </Link>
            ),
          },
        ]}
      />
      {examining && <DoctorDialog onClose={() => setExamining(false)} />}
    </>
  );
}
