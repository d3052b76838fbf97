import { useTranslation } from 'react-i18next';
import { Link, useParams } from 'react-router';
import { useApiQuery } from '@/api/client';
import { Loading, PageHeader, ProblemNote, StateTag, Time } from '@/shared';
import { Sessions } from './Sessions';
import { SignInMethods } from './SignInMethods';
import type { User } from './user';
import { UserActions } from './UserActions';
import './style.css';

/** One user: what the role allows, where the user is signed in, what can be done. */
export default function UserPage() {
  const { t } = useTranslation('access');
  const { id = '' } = useParams();
  const read = useApiQuery('/v1/users/{id}', { path: { id } }, { refetchInterval: 5_000 });
  const user = read.data;
  return (
    <div className="stack access-page">
      <PageHeader title={user?.name ?? t('tabs.users')} note={<Link to="/access">{t('user.back')}</Link>}>
        {user && <UserActions user={user} />}
      </PageHeader>
      <ProblemNote error={read.error} retry={() => void read.refetch()} />
      {!user && !read.error && <Loading />}
      {user && (
        <>
          <Facts user={user} />
          <Sessions user={user} />
        </>
      )}
    </div>
  );
}

function Facts({ user }: { user: User }) {
  const { t } = useTranslation('access');
  return (
    <section className="panel" aria-labelledby="facts">
      <h2 id="facts">{t('user.facts')}</h2>
      <dl>
        <div>
          <dt>{t('user.fullName')}</dt>
          <dd>{user.full_name || '—'}</dd>
        </div>
        <div>
          <dt>{t('user.state')}</dt>
          <dd>
            <StateTag state={user.disabled ? 'disabled' : 'enabled'} />
          </dd>
        </div>
        <div>
          <dt>{t('user.role')}</dt>
          <dd>
            {t(`role.${user.role}.name`)} <span className="hint">{t(`role.${user.role}.may`)}</span>
          </dd>
        </div>
        <div>
          <dt>{t('user.methods')}</dt>
          <dd>
            <SignInMethods user={user} />
          </dd>
        </div>
        <div>
          <dt>{t('user.seen')}</dt>
          <dd>{user.last_seen_at ? <Time at={user.last_seen_at} /> : t('user.neverSeen')}</dd>
        </div>
        <div>
          <dt>{t('createdAt')}</dt>
          <dd>
            <Time at={user.created_at} exact />
          </dd>
        </div>
      </dl>
    </section>
  );
}
