import './style.css';
import { useTranslation } from 'react-i18next';
import { Link, useParams } from 'react-router';
import { useApiQuery, type Reply } from '@/api/client';
import { AppID, Copy, Loading, PageHeader, ProblemNote, QrCode, StateTag, Time } from '@/shared';
import { linkTheme } from './linkState';
import { SetNames } from './SetNames';

type LinkData = Reply<'get', '/v1/authorization-links/{id}'>;

/** A link to hand to a merchant, and, live, who has authorized through it. */
export default function LinkDetail() {
  const { t } = useTranslation('links');
  const { id = '' } = useParams();
  const read = useApiQuery('/v1/authorization-links/{id}', { path: { id } }, { refetchInterval: 2_000 });
  const link = read.data;
  return (
    <div className="stack link-page">
      <PageHeader title={link?.reference || t('link')} note={<Link to="/links">{t('back')}</Link>} />
      <ProblemNote error={read.error} retry={() => void read.refetch()} />
      {!link && !read.error && <Loading />}
      {link && (
        <>
          <Outcome link={link} />
          {link.state === 'open' && <HandOver link={link} />}
          <Facts link={link} />
        </>
      )}
    </div>
  );
}

function Outcome({ link }: { link: LinkData }) {
  const { t } = useTranslation('links');
  return (
    <div className="panel row" role="status">
      <StateTag state={link.state} label={t(`state.${link.state}`)} theme={linkTheme(link.state)} />
      {link.used_by ? (
        <span>
          {t('outcome.used')}{' '}
          <Link to={`/authorizers/${link.used_by}?${new URLSearchParams({ component: link.component_appid })}`}>{link.used_by}</Link>{' '}
          <Time at={link.used_at} />
        </span>
      ) : (
        <span>{t(`outcome.${link.state}`)}</span>
      )}
      {link.state !== 'open' && (
        <Link to={`/links/new?${new URLSearchParams({ component_appid: link.component_appid, biz_appid: link.biz_appid, reference: link.reference })}`}>
          {t('again')}
        </Link>
      )}
    </div>
  );
}

function HandOver({ link }: { link: LinkData }) {
  const { t } = useTranslation('links');
  return (
    <section className="panel hand-over" aria-labelledby="hand-over">
      <QrCode text={link.url} what={t('link')} />
      <div>
        <h2 id="hand-over">{t('hand.title')}</h2>
        <p className="row">
          <a href={link.url} target="_blank" rel="noreferrer">
            <code>{link.url}</code>
          </a>
          <Copy text={link.url} what={t('link')} label />
        </p>
        <dl>
          <div>
            <dt>{t('hand.pc')}</dt>
            <dd>{t('hand.pcHow')}</dd>
          </div>
          <div>
            <dt>{t('hand.mobile')}</dt>
            <dd>{t('hand.mobileHow')}</dd>
          </div>
          <div>
            <dt>{t('hand.who')}</dt>
            <dd>{t('hand.whoHow')}</dd>
          </div>
        </dl>
        <p className="hint">{t('hand.fresh')}</p>
      </div>
    </section>
  );
}

function Facts({ link }: { link: LinkData }) {
  const { t } = useTranslation('links');
  return (
    <section className="panel" aria-labelledby="facts">
      <h2 id="facts">{t('facts')}</h2>
      <dl>
        <div>
          <dt>{t('component')}</dt>
          <dd>
            <AppID id={link.component_appid} />
          </dd>
        </div>
        <div>
          <dt>{t('authType')}</dt>
          <dd>{t(`type.${link.auth_type}.name`, { defaultValue: String(link.auth_type) })}</dd>
        </div>
        <div>
          <dt>{t('bizAppid')}</dt>
          <dd>{link.biz_appid ? <AppID id={link.biz_appid} /> : t('forAny')}</dd>
        </div>
        <div>
          <dt>{t('sets.title')}</dt>
          <dd>{link.permission_sets.length === 0 ? t('sets.all') : <SetNames ids={link.permission_sets} />}</dd>
        </div>
        <div>
          <dt>{t('reference')}</dt>
          <dd>{link.reference || '—'}</dd>
        </div>
        <div>
          <dt>{t('returnUrl')}</dt>
          <dd>{link.return_url || '—'}</dd>
        </div>
        <div>
          <dt>{t('createdAt')}</dt>
          <dd>
            <Time at={link.created_at} exact />
          </dd>
        </div>
        <div>
          <dt>{t('expiresAt')}</dt>
          <dd>
            <Time at={link.expires_at} exact />
          </dd>
        </div>
      </dl>
    </section>
  );
}
