import { api, control } from './demo.mjs';
import { until } from './until.mjs';

/** An account of a journey's own, which has authorized the component. */
export async function merchant(demo, appid, name) {
  await control(demo, 'POST', '/accounts', { appid, kind: 'official_account', nick_name: name });
  await control(demo, 'POST', `/accounts/${appid}/authorize`, { component_appid: demo.component });
  await until(`${appid} is active`, async () => (await api(demo, 'GET', `/v1/authorizers/${appid}`)).state === 'active');
  return { appid, name };
}
