import type { Schema } from '@/api/client';

/** What the form of a new link holds. */
export interface LinkForm {
  component_appid: string;
  auth_type: number;
  biz_appid: string;
  /** Empty for all that the component has. */
  permission_sets: number[];
  reference: string;
  return_url: string;
  /** Seconds. */
  expires_in: number;
}

/** How long links may be open, in seconds. */
export const lives = [3_600, 86_400, 604_800, 2_592_000, 7_776_000] as const;
export const defaultLife: number = 604_800;

/** What WeChat's page may offer, by the number that it calls auth_type. */
export const authTypes = [3, 1, 2, 4, 5, 6, 8] as const;

/** As the API takes it: without what was left empty. */
export function toBody(form: LinkForm): Schema<'LinkBody'> {
  return {
    component_appid: form.component_appid,
    auth_type: form.auth_type,
    expires_in: form.expires_in,
    ...(form.biz_appid.trim() ? { biz_appid: form.biz_appid.trim() } : {}),
    ...(form.permission_sets.length > 0 ? { permission_sets: form.permission_sets } : {}),
    ...(form.reference.trim() ? { reference: form.reference.trim() } : {}),
    ...(form.return_url.trim() ? { return_url: form.return_url.trim() } : {}),
  };
}
