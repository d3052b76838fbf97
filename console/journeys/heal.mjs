import assert from 'node:assert/strict';
import { journey } from './journey.mjs';
import { merchant } from './merchant.mjs';

const accounts = {
  zh: ['wx00000000000000e1', '摔碗酒家 Fragile Tavern'],
  en: ['wx00000000000000e2', '玻璃花房 Glass Florist'],
};

journey('a token breaks and heals, and the history says why', async (visitor) => {
  const { page, t, demo } = visitor;
  const { appid, name } = await merchant(demo, ...accounts[visitor.variant.language]);
  await page.goto('/console/');
  await visitor.menu(t('authorizers:title'));
  await visitor.field(t('authorizers:filter.q')).fill(name);
  await visitor.link(name).click();
  await visitor.link(t('authorizers:section.history')).click();
  const history = page.getByRole('region', { name: t('authorizers:section.history') });
  await history.getByText(t('authorizers:history.exchange.ok')).waitFor();
  const healed = history.getByText(t('authorizers:history.refresh.ok'));
  assert.equal(await healed.count(), 0);

  // In another tab, WeChat ends the token early; the next call through the gateway finds out.
  const simulator = await visitor.context.newPage();
  await simulator.goto('/console/demo?section=healing');
  await simulator.getByRole('main').getByRole('combobox').selectOption(`${appid} ${demo.component}`);
  await simulator.getByRole('button', { name: t('simulator:healing.break'), exact: true }).click();
  await simulator.getByText(t('simulator:healing.broken')).waitFor();
  await simulator.getByRole('button', { name: t('simulator:healing.call') }).click();
  await simulator.getByText(new RegExp(t('simulator:healing.healed', { ms: '\\d+' }))).waitFor();

  await healed.first().waitFor();
  await page.getByText(t('shared:state.active')).first().waitFor();
});
