import type { ComponentType, LazyExoticComponent, ReactElement } from 'react';
import type { Text } from './i18n';

/** The menu's groups, in their order. */
export const groups = ['operate', 'build', 'manage'] as const;

/**
 * A page of the console: the default export of src/pages/<name>/index.tsx, found without
 * being listed anywhere. Keep that file small: all of them are part of the first load.
 */
export interface Page {
  /** Where it is below /console, beginning with a slash: "/authorizers". */
  path: string;
  /** In the menu, and in the document's title. */
  title: Text;
  group: (typeof groups)[number];
  /** From tdesign-icons-react. */
  icon: ReactElement;
  /** Operations without which it is not offered; all of them are needed. */
  needs: string[];
  /** Ascending within its group. */
  order: number;
  component: LazyExoticComponent<ComponentType>;
  /** Further routes below path, as in { ":appid": lazy(() => import("./Detail")) }. */
  routes?: Record<string, LazyExoticComponent<ComponentType>>;
  /** True for pages of the simulator, shown in demonstrations only. */
  simulator?: boolean;
}

/** All pages by group and order. */
export const pages: Page[] = Object.values(
  import.meta.glob<Page>('./pages/*/index.tsx', { eager: true, import: 'default' }),
).sort((a, b) => groups.indexOf(a.group) - groups.indexOf(b.group) || a.order - b.order);
