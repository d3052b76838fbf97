import { useApiQuery } from '@/api/client';
import { useLanguage } from '@/shared';

/** Permission sets by their names; by their ids while those are read, and where there are none. */
export function SetNames({ ids }: { ids: number[] }) {
  const { language } = useLanguage();
  const sets = useApiQuery('/v1/permission-sets');
  const names = new Map(sets.data?.items.map((set) => [set.id, language === 'zh' ? set.name_zh : set.name]));
  return <span>{ids.map((id) => (names.has(id) ? `${id} ${names.get(id)}` : String(id))).join(language === 'zh' ? '、' : ', ')}</span>;
}
