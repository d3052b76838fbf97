import assert from 'node:assert/strict';
import { journey } from './journey.mjs';

const words = {
  zh: { toWeChat: '前往微信扫码授权', account: /示例咖啡/ },
  en: { toWeChat: 'Go to WeChat and scan', account: /示例商城/ },
};

journey('a merchant authorizes with the phone, and appears without reloading', async (visitor) => {
  const { page, t, context } = visitor;
  const { toWeChat, account } = words[visitor.variant.language];
  await page.goto('/console/');
  await visitor.menu(t('links:title'));
  await visitor.button(t('links:create')).click();
  await visitor.field(t('links:reference')).fill('merchant 1024');
  await visitor.button(t('links:create')).click();
  await page.getByText(t('links:outcome.open')).waitFor();

  // Meanwhile a colleague looks at the list.
  const colleague = await context.newPage();
  await colleague.goto('/console/authorizers');
  const listed = colleague.getByRole('link', { name: account });
  await colleague.getByRole('link', { name: /晨光书店/ }).waitFor();
  assert.equal(await listed.count(), 0);
  await colleague.evaluate(() => (window.loadedOnce = true));

  const opens = (from, act) => Promise.all([from.waitForEvent('popup'), act()]).then(([opened]) => opened);
  // WeChat's pages, played by the simulator, are Chinese.
  const entry = await opens(page, () => page.getByRole('link', { name: /\/authorize\// }).click());
  await entry.getByRole('link', { name: toWeChat }).click();
  const scanned = await opens(entry, () => entry.getByRole('link', { name: '模拟扫码' }).click());
  await scanned.getByRole('link', { name: account }).click();
  await scanned.getByRole('button', { name: '确认授权' }).click();
  await scanned.getByText('请回到电脑上的页面').waitFor();

  await listed.waitFor();
  assert.equal(await colleague.evaluate(() => window.loadedOnce), true, 'the list was not loaded anew');
  await page.getByText(t('links:outcome.used')).waitFor();
  await entry.waitForURL((url) => url.origin !== new URL(scanned.url()).origin);
});
