import { NotificationIcon } from 'tdesign-icons-react';
import { lazy } from 'react';
import type { Page } from '@/page';

const page: Page = {
  path: '/subscriptions',
  title: { zh: '订阅', en: 'Subscriptions' },
  group: 'build',
  icon: <NotificationIcon />,
  needs: ['subscriptions:read'],
  order: 1,
  component: lazy(() => import('./Subscriptions')),
  routes: {
    new: lazy(() => import('./NewSubscription')),
    ':id': lazy(() => import('./SubscriptionPage')),
    ':id/edit': lazy(() => import('./EditSubscription')),
  },
};

export default page;
