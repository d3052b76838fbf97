import { createServer } from 'node:http';
import { once } from 'node:events';
import { api, control } from './demo.mjs';
import { demo, journey } from './journey.mjs';
import { merchant } from './merchant.mjs';
import { until } from './until.mjs';

/** The subscription of the demo that has a dead letter. */
const inventory = async () => (await api(demo, 'GET', '/v1/subscriptions')).items.find(({ name }) => name.includes('inventory'));

/** A service of our own that is away until an event is a dead letter, and well afterwards. */
async function accounting() {
  let status = 503;
  const service = createServer((request, response) => request.resume().on('end', () => response.writeHead(status).end()));
  service.listen(0, '127.0.0.1').unref();
  await once(service, 'listening');
  const { appid } = await merchant(demo, 'wx00000000000000d2', '迟到账房 Late Ledger');
  const subscription = await api(demo, 'POST', '/v1/subscriptions', {
    name: '记账 accounting',
    max_age: 60,
    match: { kinds: ['text'], authorizers: [appid] },
    sink: { type: 'webhook', url: `http://127.0.0.1:${service.address().port}/` },
  });
  await control(demo, 'POST', `/accounts/${appid}/messages`, { component_appid: demo.component, from: 'oLate', type: 'text', content: 'receipt?' });
  await until('the event is given up', async () => {
    const dead = await api(demo, 'GET', `/v1/deliveries?state=dead&subscription=${subscription.id}`);
    if (dead.items.length > 0) return true;
    await control(demo, 'POST', '/clock', { advance: '20s' });
    return false;
  });
  status = 204;
  return subscription;
}

journey('a dead letter is replayed and gone', async (visitor) => {
  const { page, t } = visitor;
  const { id, name } = await (visitor.variant.language === 'zh' ? inventory() : accounting());
  await page.goto('/console/');
  await visitor.menu(t('events:title'));
  await visitor.link(t('events:tabs.dead')).click();
  await page.getByLabel(t('events:dead.subscription')).selectOption(id);
  const replay = page.getByRole('button', { name: new RegExp(`^${t('events:dead.replayOne', { id: '\\d+' })}$`) });
  const [event] = (await replay.getAttribute('aria-label')).match(/\d+/);
  await replay.click();
  const progress = page.getByRole('dialog', { name: t('events:dead.progress', { name }) });
  await progress.getByText(t('shared:state.done')).waitFor();
  await progress.press('Escape');
  await replay.waitFor({ state: 'detached' });

  await page.goto(`/console/events/${event}`);
  await page.getByRole('article').filter({ hasText: name }).getByText(t('shared:state.delivered'), { exact: true }).first().waitFor();
});
