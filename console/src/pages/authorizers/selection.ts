import { useState } from 'react';
import type { Schema } from '@/api/client';
import type { Authorizer } from './authorizer';

/** What tells rows apart: an account may have authorized several components. */
export const keyOf = ({ component_appid, appid }: Authorizer) => `${component_appid}/${appid}`;

/** The rows that are chosen, or all that match the filters. */
export interface AccountSelection {
  /** Keys of rows; those of this page where all that match are chosen. */
  ids: string[];
  all: boolean;
  choose: (ids: string[]) => void;
  chooseAll: () => void;
  clear: () => void;
}

/** The selection under certain filters. Others begin with nothing chosen. */
export function useSelection(filters: string, rows: Authorizer[]): AccountSelection {
  const [kept, setKept] = useState<{ filters: string; all: boolean; ids: string[] }>({ filters, all: false, ids: [] });
  const { all, ids } = kept.filters === filters ? kept : { all: false, ids: [] };
  return {
    ids: all ? rows.map(keyOf) : ids,
    all,
    choose: (chosen) => setKept({ filters, all: false, ids: chosen }),
    chooseAll: () => setKept({ filters, all: true, ids: [] }),
    clear: () => setKept({ filters, all: false, ids: [] }),
  };
}

/** A selection as the API's jobs take it. Where accounts of one component are chosen, only that is touched. */
export function jobSelection({ all, ids }: AccountSelection, filters: Partial<Record<string, string>>): Schema<'Selection'> {
  if (all) return filters as Schema<'Selection'>;
  const components = new Set(ids.map((id) => id.split('/')[0]));
  const appids = [...new Set(ids.map((id) => id.split('/')[1] ?? ''))];
  const [component] = components;
  return components.size === 1 && component ? { appids, component } : { appids };
}
