// Every page, in both languages, wide and narrow, light and dark.
import assert from 'node:assert/strict';
import { api, control } from './demo.mjs';
import { examine } from './examine.mjs';
import { demo, journey, seen } from './journey.mjs';
import { capture } from './screenshots.mjs';

/** Where each page is; its name is that of its screenshots. */
async function everyPage() {
  const [subscriptions, events, links, users, keys, catalogue] = await Promise.all([
    api(demo, 'GET', '/v1/subscriptions'),
    api(demo, 'GET', '/v1/events?order=desc&kind=text&limit=1'),
    api(demo, 'GET', '/v1/authorization-links?limit=1'),
    api(demo, 'GET', '/v1/users'),
    api(demo, 'GET', '/v1/api-keys'),
    api(demo, 'GET', '/v1/catalogue'),
  ]);
  const subscription = subscriptions.items.find(({ name }) => name.includes('inventory'));
  const endpoint = catalogue.items.find(({ path }) => path === '/cgi-bin/message/custom/send');
  const account = 'authorizers/wx00000000000000c1';
  const component = `components/${demo.component}`;
  const key = `access/keys/${keys.items.find(({ name }) => name === 'crm').id}`;
  return {
    overview: '',
    authorizers: 'authorizers',
    authorizer: account,
    'authorizer-permission-sets': `${account}?section=sets`,
    'authorizer-history': `${account}?section=history`,
    'authorizer-options': `${account}?section=options`,
    'authorizer-events': `${account}?section=events`,
    'authorizer-calls': `${account}?section=calls`,
    'authorizer-in-trouble': 'authorizers/wx00000000000000c8',
    links: 'links',
    'links-new': 'links/new',
    link: `links/${links.items[0].id}`,
    events: 'events',
    event: `events/${events.items[0].id}`,
    'dead-letters': 'events/dead-letters',
    subscriptions: 'subscriptions',
    'subscriptions-new': 'subscriptions/new',
    subscription: `subscriptions/${subscription.id}`,
    'subscription-edit': `subscriptions/${subscription.id}/edit`,
    explorer: 'explorer',
    'explorer-call': `explorer/${endpoint.id}`,
    'simulator-phone': 'demo',
    'simulator-healing': 'demo?section=healing',
    'simulator-faults': 'demo?section=faults',
    'simulator-clock': 'demo?section=clock',
    'simulator-journal': 'demo?section=journal',
    users: 'access',
    'users-new': 'access/users/new',
    user: `access/users/${users.items[0].id}`,
    keys: 'access/keys',
    'keys-new': 'access/keys/new',
    key,
    'key-edit': `${key}/edit`,
    audit: 'access/audit',
    components: 'components',
    'components-new': 'components/new',
    component,
    'component-secret': `${component}/secret`,
    'component-push': `${component}/push`,
    'release-check': `${component}/release`,
    account: 'account',
  };
}

// In the dark, only colours are others. Each language takes two of the four looks;
// EVERY_LOOK=1 has both take all.
const looks = [
  { of: 'zh', width: 1440, theme: 'light' },
  { of: 'en', width: 1440, theme: 'dark', rules: ['color-contrast'] },
  { of: 'zh', width: 390, theme: 'dark', rules: ['color-contrast'] },
  { of: 'en', width: 390, theme: 'light' },
];

/** What is kept as screenshots. */
const shown = ['zh-1440-light', 'en-1440-dark', 'zh-390-dark'];

/** As the page was when nothing moved any more. */
async function settle(visitor, { width, theme }) {
  const { page, t } = visitor;
  await page.emulateMedia({ colorScheme: theme });
  await page.setViewportSize({ width, height: width < 768 ? 844 : 900 });
  await page.locator(`[theme-mode=${theme}]`).waitFor();
  await page.getByRole('button', { name: t('layout:menu'), exact: true }).waitFor({ state: width < 768 ? 'visible' : 'detached' });
  await page.getByRole('heading', { level: 1 }).waitFor();
  for (const nothing of ['notFound.title', 'forbidden.title', 'error.crash']) {
    assert.equal(await page.getByRole('heading', { name: t(`shared:${nothing}`) }).count(), 0, nothing);
  }
  await page.getByText(t('shared:loading'), { exact: true }).first().waitFor({ state: 'detached' });
  await page.waitForFunction(() => !document.getAnimations().some((each) => each instanceof CSSTransition && each.playState === 'running'));
}

journey(
  'every page can be used by everybody, and fits the window',
  async (visitor) => {
    const { page } = visitor;
    const { language } = visitor.variant;
    const mistakes = [];
    const these = looks.filter(({ of }) => process.env.EVERY_LOOK || of === language);
    for (const [name, path] of Object.entries(await everyPage())) {
      await page.goto(`/console/${path}`);
      for (const look of these) {
        const variant = `${language}-${look.width}-${look.theme}`;
        try {
          await settle(visitor, look);
        } catch (error) {
          mistakes.push(`${name} ${variant}: ${error.message}`);
          break;
        }
        for (const mistake of await examine(page, look.rules)) mistakes.push(`${name} ${variant}: ${mistake}`);
        if (shown.includes(variant)) await capture(visitor, `${name}-${variant}`);
      }
      seen.push({ what: `the page ${path}`, text: await page.content() });
    }
    assert.equal(mistakes.join('\n'), '');
  },
);

journey(
  'no secret was seen that nobody asked for',
  async () => {
    const secrets = [...(await control(demo, 'GET', '/secrets')), demo.key].filter((secret) => secret.length >= 8);
    assert.ok(secrets.length > 20, 'the simulator tells its secrets');
    // What was shown because somebody asked.
    const asked = /\/access-token$|POST \/v1\/(api-keys|users)$/;
    const found = seen
      .filter(({ what }) => !asked.test(what))
      .flatMap(({ what, text }) => secrets.filter((secret) => text.includes(secret)).map((secret) => `${what}: ${secret.slice(0, 14)}…`));
    assert.ok(seen.length > 100);
    assert.deepEqual([...new Set(found)], []);
  },
  { of: [{ language: 'zh', width: 1440, theme: 'light' }] },
);
