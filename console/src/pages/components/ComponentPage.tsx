import { Alert, Button } from 'tdesign-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate, useParams } from 'react-router';
import { AppID, Copy, Loading, PageHeader, ProblemNote, Time, useOperations } from '@/shared';
import { Addresses } from './Addresses';
import { useComponent, useFreshness, type Component } from './component';
import { DoctorDialog } from './DoctorDialog';
import { Fresh } from './Fresh';
import { ReconcileDialog } from './ReconcileDialog';
import './style.css';

/** One component: whether WeChat and this server get along, and what to do if not. */
export default function ComponentPage() {
  const { t } = useTranslation('components');
  const { appid = '' } = useParams();
  const navigate = useNavigate();
  const { reason } = useOperations();
  const [open, setOpen] = useState<'doctor' | 'reconcile'>();
  const read = useComponent(appid);
  const component = read.data;
  const noReconcile = reason('authorizers:write');
  return (
    <div className="stack components-page">
      <PageHeader title={appid} note={<Link to="/components">{t('back')}</Link>}>
        {component && (
          <>
            <Button variant="outline" theme="default" onClick={() => setOpen('doctor')}>
              {t('doctor.action')}
            </Button>
            <Button tag="button" variant="outline" theme="default" disabled={!!noReconcile} {...(noReconcile ? { title: noReconcile } : {})} onClick={() => setOpen('reconcile')}>
              {t('reconcile.action')}
            </Button>
            <Button variant="outline" onClick={() => void navigate(`/components/${appid}/release`)}>
              {t('release.action')}
            </Button>
          </>
        )}
      </PageHeader>
      <ProblemNote error={read.error} retry={() => void read.refetch()} />
      {!component && !read.error && <Loading />}
      {component && (
        <>
          <Trouble of={component} />
          <div className="components-halves">
            <Health of={component} />
            <Credentials of={component} />
          </div>
          <Addresses of={component} />
        </>
      )}
      {open === 'doctor' && <DoctorDialog onClose={() => setOpen(undefined)} />}
      {open === 'reconcile' && <ReconcileDialog appid={appid} onClose={() => setOpen(undefined)} />}
    </div>
  );
}

function Trouble({ of }: { of: Component }) {
  const { t } = useTranslation('components');
  if (!of.problem && !of.egress_ip) return null;
  return (
    <div role="status" className="stack">
      {of.egress_ip && (
        <Alert
          theme="error"
          title={t('whitelist.refused')}
          message={
            <span className="row">
              {t('whitelist.add')} <code>{of.egress_ip}</code> <Copy text={of.egress_ip} what="IP" label />
            </span>
          }
        />
      )}
      {of.problem && <Alert theme="warning" title={t('problem')} message={of.problem} />}
    </div>
  );
}

function Health({ of }: { of: Component }) {
  const { t } = useTranslation('components');
  const fresh = useFreshness()(of.appid);
  const { active = 0, needs_reauthorization: waiting = 0, revoked = 0 } = of.authorizers;
  const list = (state: string) => `/authorizers?${new URLSearchParams({ component: of.appid, state })}`;
  return (
    <section className="panel" aria-labelledby="health">
      <h2 id="health">{t('health')}</h2>
      <dl>
        <div>
          <dt>{t('ticket.title')}</dt>
          <dd>
            {of.ticket_received_at ? <Fresh of={fresh?.ticket} text={(age) => <span>{t('ticket.age')} {age}</span>} /> : t('ticket.none')}
            <p className="hint">{t('ticket.explain')}</p>
          </dd>
        </div>
        <div>
          <dt>{t('token.title')}</dt>
          <dd>
            {of.token_expires_at ? <Fresh of={fresh?.token} text={(left) => <span>{t('token.left')} {left}</span>} /> : t('token.none')}
            <p className="hint">{t('token.explain')}</p>
          </dd>
        </div>
        <div>
          <dt>{t('authorizers.title')}</dt>
          <dd className="components-counts">
            <Link to={list('active')}>{t('authorizers.active', { count: active })}</Link>
            <Link to={list('needs_reauthorization')}>{t('authorizers.waiting', { count: waiting })}</Link>
            <Link to={list('revoked')}>{t('authorizers.revoked', { count: revoked })}</Link>
          </dd>
        </div>
      </dl>
    </section>
  );
}

function Credentials({ of }: { of: Component }) {
  const { t } = useTranslation('components');
  const kept = (previous: boolean) => (previous ? t('credential.withPrevious') : t('credential.set'));
  return (
    <section className="panel" aria-labelledby="credentials">
      <h2 id="credentials">{t('credential.title')}</h2>
      <p className="hint">{t('credential.explain')}</p>
      <dl>
        <div>
          <dt>AppID</dt>
          <dd>
            <AppID id={of.appid} />
          </dd>
        </div>
        <div>
          <dt>AppSecret</dt>
          <dd>
            {of.staged_secret ? t('credential.staged') : t('credential.set')} · <Link to={`/components/${of.appid}/secret`}>{t('secret.action')}</Link>
          </dd>
        </div>
        <div>
          <dt>{t('credential.token')}</dt>
          <dd>
            {kept(of.previous_token)} · <Link to={`/components/${of.appid}/push?which=token`}>{t('push.action')}</Link>
          </dd>
        </div>
        <div>
          <dt>{t('credential.key')}</dt>
          <dd>
            {kept(of.previous_encoding_aes_key)} · <Link to={`/components/${of.appid}/push?which=encoding_aes_key`}>{t('push.action')}</Link>
          </dd>
        </div>
        <div>
          <dt>{t('credential.updatedAt')}</dt>
          <dd>
            <Time at={of.updated_at} exact />
          </dd>
        </div>
      </dl>
    </section>
  );
}
