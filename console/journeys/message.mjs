import { journey } from './journey.mjs';
import { merchant } from './merchant.mjs';

const accounts = {
  zh: ['wx00000000000000f1', '话痨茶馆 Chatty Teahouse'],
  en: ['wx00000000000000f2', '回声书局 Echo Bookshop'],
};
const kind = { zh: '文本消息', en: 'Text message' };

journey('a user writes, and the message is delivered', async (visitor) => {
  const { page, t, demo } = visitor;
  const { language } = visitor.variant;
  const { appid, name } = await merchant(demo, ...accounts[language]);
  await page.goto('/console/');
  await visitor.menu(t('events:title'));
  await page.getByRole('combobox', { name: t('events:filter.account') }).fill(name);
  await page.getByRole('option', { name }).click();
  await page.getByRole('combobox', { name: t('events:filter.account') }).and(page.locator(`[value="${appid}"]`)).waitFor();

  const text = `明天营业吗? Open tomorrow? ${language}`;
  const phone = await visitor.context.newPage();
  await phone.goto('/console/demo');
  await phone.getByRole('button', { name }).click();
  await phone.getByLabel(t('simulator:chat.message')).fill(text);
  await phone.getByRole('button', { name: t('simulator:chat.send'), exact: true }).click();
  await phone.getByText(new RegExp(t('simulator:chat.accepted', { ms: '\\d+', count: '1' }))).waitFor();

  await page.getByRole('link', { name: kind[language] }).click();

  await page.getByText(text).first().waitFor();
  const inventory = page.getByRole('article').filter({ hasText: 'inventory' });
  await inventory.getByText(t('shared:state.delivered'), { exact: true }).first().waitFor();
  await inventory.getByRole('cell', { name: '200', exact: true }).waitFor();
});
