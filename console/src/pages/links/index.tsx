import { LinkIcon } from 'tdesign-icons-react';
import { lazy } from 'react';
import type { Page } from '@/page';

const page: Page = {
  path: '/links',
  title: { zh: '授权链接', en: 'Authorization links' },
  group: 'operate',
  icon: <LinkIcon />,
  needs: ['links:read'],
  order: 3,
  component: lazy(() => import('./Links')),
  routes: {
    new: lazy(() => import('./NewLink')),
    ':id': lazy(() => import('./LinkDetail')),
  },
};

export default page;
