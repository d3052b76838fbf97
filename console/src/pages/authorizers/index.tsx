import { UsergroupIcon } from 'tdesign-icons-react';
import { lazy } from 'react';
import type { Page } from '@/page';

const page: Page = {
  path: '/authorizers',
  title: { zh: '授权账号', en: 'Authorizers' },
  group: 'operate',
  icon: <UsergroupIcon />,
  needs: ['authorizers:read'],
  order: 2,
  component: lazy(() => import('./Authorizers')),
  routes: { ':appid': lazy(() => import('./Detail')) },
};

export default page;
