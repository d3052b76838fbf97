import { DashboardIcon } from 'tdesign-icons-react';
import { lazy } from 'react';
import type { Page } from '@/page';

const page: Page = {
  path: '/',
  title: { zh: '概览', en: 'Overview' },
  group: 'operate',
  icon: <DashboardIcon />,
  needs: ['authorizers:read'],
  order: 1,
  component: lazy(() => import('./Overview')),
};

export default page;
