import { journey } from './journey.mjs';

journey('the server is away, and comes back', async (visitor) => {
  const { page, t } = visitor;
  visitor.allow(/net::ERR_CONNECTION_REFUSED/);
  await page.goto('/console/authorizers');
  await page.getByRole('link', { name: /晨光书店/ }).waitFor();
  const banner = page.getByText(t('layout:disconnected'));
  await visitor.context.route(/\/(v1|healthz)/, (route) => route.abort('connectionrefused'));
  await banner.waitFor();
  await page.getByRole('img', { name: t('layout:connection.down') }).waitFor();
  await page.getByRole('link', { name: /晨光书店/ }).waitFor(); // What was read stays.
  await visitor.context.unroute(/\/(v1|healthz)/);
  await banner.waitFor({ state: 'detached' });
  await page.getByRole('img', { name: t('layout:connection.up') }).waitFor();
});
