import { MobileIcon } from 'tdesign-icons-react';
import { lazy } from 'react';
import type { Page } from '@/page';

const page: Page = {
  path: '/demo',
  title: { zh: '模拟微信', en: 'Simulator' },
  group: 'build',
  icon: <MobileIcon />,
  needs: ['authorizers:read'],
  order: 9,
  component: lazy(() => import('./Simulator')),
  simulator: true,
};

export default page;
