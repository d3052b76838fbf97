import { ApiIcon } from 'tdesign-icons-react';
import { lazy } from 'react';
import type { Page } from '@/page';

const Explorer = lazy(() => import('./Explorer'));

const page: Page = {
  path: '/explorer',
  title: { zh: '接口调试', en: 'API explorer' },
  group: 'build',
  icon: <ApiIcon />,
  needs: ['authorizers:read'],
  order: 2,
  component: Explorer,
  routes: { ':endpoint': Explorer },
};

export default page;
