import { ServerIcon } from 'tdesign-icons-react';
import { lazy } from 'react';
import type { Page } from '@/page';

const page: Page = {
  path: '/components',
  title: { zh: '第三方平台', en: 'Components' },
  group: 'manage',
  icon: <ServerIcon />,
  needs: ['components:read'],
  order: 1,
  component: lazy(() => import('./Components')),
  routes: {
    new: lazy(() => import('./NewComponent')),
    ':appid': lazy(() => import('./ComponentPage')),
    ':appid/secret': lazy(() => import('./RotateSecret')),
    ':appid/push': lazy(() => import('./RotatePush')),
    ':appid/release': lazy(() => import('./Release')),
  },
};

export default page;
