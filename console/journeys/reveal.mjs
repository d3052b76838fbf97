import assert from 'node:assert/strict';
import { api } from './demo.mjs';
import { journey } from './journey.mjs';

const account = { zh: 'wx00000000000000c3', en: 'wx00000000000000c5' };

journey('a token is shown to who asks for it, and that is on record', async (visitor) => {
  const { page, t, demo } = visitor;
  const appid = account[visitor.variant.language];
  const records = async () => {
    const { items } = await api(demo, 'GET', '/v1/audit?limit=200');
    return items.filter((entry) => entry.operation === 'get-access-token' && JSON.stringify(entry).includes(appid)).length;
  };
  await page.goto(`/console/authorizers/${appid}`);
  const reveal = page.getByRole('button', { name: `${t('shared:secret.reveal')} access_token` });
  await reveal.waitFor();
  assert.equal(await records(), 0);

  const reply = page.waitForResponse((response) => response.url().includes('/access-token'));
  await reveal.click();
  const { access_token: token } = await (await reply).json();
  await page.getByText(token, { exact: true }).waitFor();
  await page.getByRole('button', { name: `${t('shared:secret.hide')} access_token` }).click();
  await page.getByText(token, { exact: true }).waitFor({ state: 'detached' });
  assert.ok(!(await page.content()).includes(token));
  assert.equal(await records(), 1);

  await page.goto('/console/access/audit');
  await visitor.row(t('access:did.get-access-token')).filter({ hasText: appid }).first().waitFor();
});
