import { UserSafetyIcon } from 'tdesign-icons-react';
import { lazy } from 'react';
import type { Page } from '@/page';

const page: Page = {
  path: '/access',
  title: { zh: '访问控制', en: 'Access' },
  group: 'manage',
  icon: <UserSafetyIcon />,
  // Who may see users or the audit log may see keys as well.
  needs: ['keys:read'],
  order: 2,
  component: lazy(() => import('./Users')),
  routes: {
    'users/new': lazy(() => import('./NewUser')),
    'users/:id': lazy(() => import('./UserPage')),
    keys: lazy(() => import('./Keys')),
    'keys/new': lazy(() => import('./NewKey')),
    'keys/:id': lazy(() => import('./KeyPage')),
    'keys/:id/edit': lazy(() => import('./EditKey')),
    audit: lazy(() => import('./Audit')),
  },
};

export default page;
