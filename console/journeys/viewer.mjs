import assert from 'node:assert/strict';
import { demo, journey, stranger } from './journey.mjs';

const password = 'looking is enough';

journey('a viewer is let in, and cannot act', async (owner) => {
  const { page, t } = owner;
  const name = `viewer-${owner.variant.language}`;
  await page.goto('/console/');
  await owner.menu(t('access:title'));
  await owner.button(t('access:user.create')).click();
  await owner.field(t('access:user.name')).fill(name);
  await page.getByRole('radio', { name: new RegExp(`^${t('access:role.viewer.name')} `) }).check();
  await owner.button(t('access:user.create')).click();
  const shown = page.getByRole('dialog', { name: t('access:user.initialOf', { name }) });
  await shown.getByRole('button', { name: t('shared:copy.of', { what: t('access:user.initial') }) }).click();
  const initial = await page.evaluate(() => navigator.clipboard.readText());
  await owner.button(t('access:kept')).click();

  const viewer = await stranger(owner.variant);
  try {
    await look(viewer, name, initial);
    await viewer.judge();
  } finally {
    await viewer.context.close();
  }
});

async function look(viewer, name, initial) {
  const { page, t } = viewer;
  await page.goto('/console/');
  await viewer.field(t('session:name')).fill(name);
  await viewer.field(t('session:password')).fill(initial);
  await viewer.button(t('session:signIn')).click();
  // An initial password is good for one thing.
  await viewer.field(t('session:passwordCurrent')).fill(initial);
  await viewer.field(t('session:passwordNew')).fill(password);
  await viewer.field(t('session:passwordRepeated')).fill(password);
  await viewer.button(t('session:passwordChange')).click();

  await viewer.menu(t('links:title'));
  const cannot = (operation) => t('shared:missing', { operation });
  const disabled = async (button, operation) => {
    await button.waitFor();
    assert.ok(await button.isDisabled());
    assert.equal(await button.getAttribute('title'), cannot(operation));
  };
  await disabled(viewer.button(t('links:create')), 'links:write');
  await viewer.menu(t('authorizers:title'));
  await page.getByRole('link', { name: /晨光书店/ }).click();
  await disabled(viewer.button(t('authorizers:action.refresh')), 'tokens:refresh');
  await disabled(viewer.button(t('authorizers:action.tags')), 'authorizers:write');
  await page.getByText(cannot('tokens:read')).waitFor();
  await page.goto('/console/access');
  await page.getByRole('heading', { level: 1, name: t('shared:forbidden.title') }).waitFor();

  // And it is not the buttons that forbid it.
  viewer.allow(/^403 /);
  const statuses = await page.evaluate(
    (calls) =>
      Promise.all(
        calls.map(async ([method, path, body]) => {
          const options = body ? { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } } : {};
          return (await fetch(path, { method, ...options })).status;
        }),
      ),
    [
      ['POST', '/v1/authorization-links', { component_appid: demo.component }],
      ['POST', '/v1/authorizers/wx00000000000000c1/refresh'],
      ['GET', '/v1/authorizers/wx00000000000000c1/access-token'],
      ['PUT', '/v1/authorizers/wx00000000000000c1/tags', { tags: [] }],
      ['POST', '/v1/users', { name: 'friend', role: 'owner' }],
      ['POST', '/v1/api-keys', { name: 'mine', scope: { operations: ['*'] } }],
      ['GET', '/v1/api-keys'],
      ['GET', '/v1/audit'],
      ['POST', '/simulator/clock', { advance: '1h' }],
    ],
  );
  assert.deepEqual([...new Set(statuses)], [403]);
}
