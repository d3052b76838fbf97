import './style.css';
import { useTranslation } from 'react-i18next';
import { Link, useParams, useSearchParams } from 'react-router';
import { useApiQuery } from '@/api/client';
import { AppID, Loading, PageHeader, ProblemNote } from '@/shared';
import { Actions } from './Actions';
import { pathOf, type AuthorizerDetail } from './authorizer';
import { Avatar } from './Avatar';
import { Calls } from './Calls';
import { Events } from './Events';
import { Health } from './Health';
import { History } from './History';
import { Options } from './Options';
import { PermissionSets } from './PermissionSets';
import { Profile } from './Profile';
import { TroubleNote } from './TroubleNote';

const sections = {
  profile: Profile,
  sets: PermissionSets,
  history: History,
  options: Options,
  events: Events,
  calls: Calls,
};

type Section = keyof typeof sections;

/** One authorizer: ?component= where it has several, ?section= for what is shown. */
export default function Detail() {
  const { t } = useTranslation('authorizers');
  const { appid = '' } = useParams();
  const [search] = useSearchParams();
  const component = search.get('component') || undefined;
  const read = useApiQuery('/v1/authorizers/{appid}', { path: { appid }, query: component ? { component } : {} }, { refetchInterval: 5_000 });
  if (!read.data) {
    return (
      <div className="stack">
        <PageHeader title={appid} note={<Link to="/authorizers">{t('back')}</Link>} />
        {read.error?.components.length ? (
          <Which appid={appid} components={read.error.components} />
        ) : read.error ? (
          <ProblemNote error={read.error} retry={() => void read.refetch()} />
        ) : (
          <Loading />
        )}
      </div>
    );
  }
  return <Shown of={read.data} problem={read.error} retry={() => void read.refetch()} />;
}

/** Asks which authorization is meant. */
function Which({ appid, components }: { appid: string; components: string[] }) {
  const { t } = useTranslation('authorizers');
  return (
    <section className="panel">
      <p>{t('which')}</p>
      <ul>
        {components.map((component) => (
          <li key={component}>
            <Link to={pathOf({ appid, component })}>{component}</Link>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Shown({ of, problem, retry }: { of: AuthorizerDetail; problem: unknown; retry: () => void }) {
  const { t } = useTranslation('authorizers');
  const [search] = useSearchParams();
  const asked = search.get('section') ?? '';
  const section: Section = asked in sections ? (asked as Section) : 'profile';
  const Content = sections[section];
  const authorization = { appid: of.appid, component: of.component_appid };
  return (
    <div className="stack detail">
      <PageHeader title={of.nick_name || of.appid} note={<Link to="/authorizers">{t('back')}</Link>} />
      <div className="row">
        <Avatar name={of.nick_name || of.appid} large />
        <AppID id={of.appid} />
        <Health of={of} />
      </div>
      <Actions key={of.component_appid} of={of} />
      <ProblemNote error={problem} retry={retry} />
      <TroubleNote of={of} />
      <nav className="sections" aria-label={t('section.sections')}>
        {(Object.keys(sections) as Section[]).map((name) => (
          <Link key={name} to={pathOf(authorization, name)} replace aria-current={name === section ? 'page' : undefined}>
            {t(`section.${name}`)}
          </Link>
        ))}
      </nav>
      <Content key={of.component_appid} of={of} />
    </div>
  );
}
