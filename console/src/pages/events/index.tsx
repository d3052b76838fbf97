import { ChatMessageIcon } from 'tdesign-icons-react';
import { lazy } from 'react';
import type { Page } from '@/page';

const page: Page = {
  path: '/events',
  title: { zh: '事件', en: 'Events' },
  group: 'operate',
  icon: <ChatMessageIcon />,
  needs: ['events:read'],
  order: 4,
  component: lazy(() => import('./Events')),
  routes: {
    'dead-letters': lazy(() => import('./DeadLetters')),
    ':id': lazy(() => import('./EventPage')),
  },
};

export default page;
