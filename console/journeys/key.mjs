import assert from 'node:assert/strict';
import { journey } from './journey.mjs';

journey('a key is made, seen once, and used', async (visitor) => {
  const { page, t, demo } = visitor;
  const name = `warehouse ${visitor.variant.language}`;
  await page.goto('/console/');
  await visitor.menu(t('access:title'));
  await visitor.link(t('access:tabs.keys')).click();
  await visitor.button(t('access:key.create')).click();
  await visitor.button(t('access:key.create')).click();
  await page.getByText(t('access:key.wrong.name')).waitFor();
  await visitor.field(t('access:key.name')).fill(name);
  await page.getByRole('checkbox', { name: t('access:operation.authorizers.read.name') }).check();
  await visitor.button(t('access:key.create')).click();

  const shown = page.getByRole('dialog', { name: t('access:key.shownOf', { name }) });
  await shown.getByRole('button', { name: t('shared:copy.of', { what: t('access:key.key') }) }).click();
  const key = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(!(await page.content()).includes(key), 'not in the page before it is asked for');
  await shown.getByRole('button', { name: `${t('shared:secret.reveal')} ${t('access:key.key')}` }).click();
  await shown.getByText(key, { exact: true }).waitFor();
  await visitor.button(t('access:kept')).click();
  await page.getByRole('heading', { level: 1, name }).waitFor();
  assert.ok(!(await page.content()).includes(key), 'not in the page any more');

  const answer = async (path) => (await fetch(demo.origin + path, { headers: { Authorization: `Bearer ${key}` } })).status;
  assert.equal(await answer('/v1/authorizers'), 200);
  assert.equal(await answer('/v1/users'), 403);
  await visitor.link(t('access:key.back')).click();
  await visitor.row(name).getByRole('time').or(visitor.row(name).locator('time')).first().waitFor();
});
