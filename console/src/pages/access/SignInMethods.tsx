import { useTranslation } from 'react-i18next';
import { useLanguage } from '@/shared';
import type { User } from './user';

/** By what a user signs in. */
export function SignInMethods({ user }: { user: User }) {
  const { t } = useTranslation('access');
  const { language } = useLanguage();
  const methods = [
    ...(user.password ? [t('user.password')] : []),
    ...(user.totp ? [t('user.totp')] : []),
    ...(user.oidc ? [t('user.oidc')] : []),
  ];
  return <span>{methods.length > 0 ? methods.join(language === 'zh' ? '、' : ', ') : t('user.noMethod')}</span>;
}
