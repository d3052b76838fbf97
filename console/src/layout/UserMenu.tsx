import { Button } from 'tdesign-react';
import { UserIcon } from 'tdesign-icons-react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { attended } from '@/api/attention';
import { connected } from '@/api/connection';
import { useSignal } from '@/api/signal';
import { signOut, useSession } from '@/session/session';
import { useNarrow } from '@/shared/media';

/** The connection's state, the operator, and the way out. */
export function UserMenu() {
  const { t } = useTranslation('layout');
  const { user } = useSession();
  const narrow = useNarrow();
  const there = useSignal(connected);
  const live = useSignal(attended);
  const state = !there ? 'down' : live ? 'up' : 'resting';
  return (
    <>
      <span className={`connection ${state}`} role="img" aria-label={t(`connection.${state}`)} title={t(`connection.${state}`)} />
      <Link to="/account" className="user" aria-label={t('account', { name: user.full_name || user.name })}>
        <UserIcon />
        <span>{user.full_name || user.name}</span>
      </Link>
      {/* On a phone, the account's page has it. */}
      {!narrow && (
        <Button variant="text" onClick={() => void signOut()}>
          {t('signOut')}
        </Button>
      )}
    </>
  );
}
