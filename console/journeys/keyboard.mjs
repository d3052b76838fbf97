// Everything by keyboard alone, with the focus in sight.
import assert from 'node:assert/strict';
import { examine } from './examine.mjs';
import { journey, stranger } from './journey.mjs';
import { until } from './until.mjs';

/** Whether somebody sees where the focus is: an outline or a ring, on it or around it. */
const inSight = () => {
  for (let element = document.activeElement, up = 0; element && up < 3; element = element.parentElement, up++) {
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
    if ((outlineStyle !== 'none' && parseFloat(outlineWidth) > 0) || boxShadow !== 'none') return '';
  }
  return document.activeElement?.outerHTML.slice(0, 200) ?? 'nothing';
};

/** Presses Tab until the focus is there; wherever it passes, it is in sight. */
async function tabTo(page, target) {
  await target.waitFor();
  const focused = () => target.evaluate((element) => element === document.activeElement);
  for (let pressed = 0; !(await focused()); pressed++) {
    assert.ok(pressed < 80, `no way to ${target} by Tab`);
    await page.keyboard.press('Tab');
    await until('the focus can be seen', async () => (await page.evaluate(inSight)) === '', 2).catch(async () => {
      assert.fail(`the focus cannot be seen on ${await page.evaluate(inSight)}`);
    });
  }
}

journey(
  'by keyboard alone, from the sign-in to an authorization link',
  async (visitor) => {
    const { page, t } = visitor;
    await page.goto('/console/');
    await tabTo(page, visitor.field(t('session:name')));
    await page.keyboard.type(visitor.demo.user);
    await tabTo(page, visitor.field(t('session:password')));
    await page.keyboard.type(visitor.demo.password);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: t('overview:title') }).waitFor();

    if (visitor.narrow) {
      await tabTo(page, visitor.button(t('layout:menu')));
      await page.keyboard.press('Enter');
    }
    await tabTo(page, page.getByRole('navigation', { name: t('layout:pages') }).getByRole('link', { name: t('links:title') }));
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: t('links:title') }).and(page.locator(':focus')).waitFor();
    await tabTo(page, visitor.button(t('links:create')));
    await page.keyboard.press('Space');
    await page.getByRole('heading', { level: 1, name: t('links:create') }).waitFor();

    const chosen = (type) => page.getByRole('radio', { name: new RegExp(`^${t(`links:type.${type}.name`)} `), checked: true });
    await tabTo(page, chosen(3));
    await page.keyboard.press('ArrowDown');
    await chosen(1).waitFor();
    await tabTo(page, visitor.field(t('links:reference')));
    await page.keyboard.type('typed only');
    await tabTo(page, visitor.button(t('links:create')));
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'typed only' }).waitFor();
    await page.getByText(t('links:type.1.name'), { exact: true }).waitFor();
  },
  { arrive: stranger },
);

/** Where dialogs are, and the button that opens each. */
const dialogs = (t) => [
  ['authorizers/wx00000000000000c1', t('authorizers:action.tags')],
  ['subscriptions', t('subscriptions:rotate.action')],
  ['subscriptions', t('subscriptions:test.action')],
  ['subscriptions', t('subscriptions:replay.action')],
  ['subscriptions', t('shared:delete')],
  ['events', t('events:deliveries.replay')],
  ['access/keys', t('access:key.rotate')],
  ['access/keys', t('access:key.revoke')],
];

/** The first row of a list leads to what the dialog is about. */
const rows = { subscriptions: /inventory/, events: /文本消息|Text message/, 'access/keys': 'crm' };

journey('every dialog closes with Escape, and gives the focus back', async (visitor) => {
  const { page, t } = visitor;
  for (const [path, opener] of dialogs(t)) {
    await page.goto(`/console/${path}`);
    if (rows[path]) await page.getByRole('main').getByRole('link', { name: rows[path] }).first().click();
    const button = visitor.button(opener);
    await button.focus();
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    assert.ok(await dialog.evaluate((element) => element.contains(document.activeElement)), `${opener}: the focus is inside`);
    assert.deepEqual(await examine(page), [], opener);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    assert.ok(await button.evaluate((element) => element === document.activeElement), `${opener}: the focus is given back`);
  }
});
