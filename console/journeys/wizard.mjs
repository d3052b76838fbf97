import assert from 'node:assert/strict';
import { control, startDemo } from './demo.mjs';
import { examine } from './examine.mjs';
import { journey, stranger } from './journey.mjs';
import { capture } from './screenshots.mjs';

const password = 'correct horse battery';

journey(
  'the first run, from the token in the log to a component that WeChat talks to',
  async (visitor) => {
    const { page, t, demo } = visitor;
    const { language, width, theme } = visitor.variant;
    const step = async (name) => {
      await page.getByRole('heading', { level: 2, name: t(`setup:${name}.title`), exact: true }).waitFor();
      assert.deepEqual(await examine(page), [], name);
      await capture(visitor, `setup-${name}-${language}-${width}-${theme}`);
    };
    await page.goto('/console/');

    await step('administrator');
    visitor.allow(/^403 POST \/v1\/setup$/);
    await visitor.field(t('setup:administrator.token')).fill('not-the-token');
    await visitor.field(t('setup:administrator.name')).fill('first');
    await visitor.field(t('setup:administrator.password')).fill(password);
    await visitor.field(t('setup:administrator.repeated')).fill('something else');
    await visitor.button(t('setup:administrator.submit')).click();
    await page.getByText(t('setup:administrator.passwordDiffers')).waitFor();
    await visitor.field(t('setup:administrator.repeated')).fill(password);
    const refused = page.waitForResponse((response) => response.url().endsWith('/v1/setup') && response.status() === 403);
    await visitor.button(t('setup:administrator.submit')).click();
    await refused;
    await visitor.field(t('setup:administrator.token')).fill(demo.token);
    assert.equal(await visitor.field(t('setup:administrator.name')).inputValue(), 'first', 'what was typed stays');
    await visitor.button(t('setup:administrator.submit')).click();

    await step('totp');
    await visitor.button(t('setup:totp.skip')).click();

    await step('component');
    await visitor.field('AppID').fill('wx123');
    await visitor.field('AppSecret').fill(demo.secret);
    await visitor.field(t('setup:component.token')).fill(demo.pushToken);
    await visitor.field(t('setup:component.key')).fill(demo.encodingAESKey);
    await visitor.button(t('setup:component.submit')).click();
    await page.getByText(t('setup:component.appidShape')).waitFor();
    await visitor.field('AppID').fill(demo.component);
    await visitor.button(t('setup:component.submit')).click();

    await step('addresses');
    const event = page.getByRole('listitem').filter({ hasText: t('setup:addresses.eventURL') });
    await event.getByRole('button', { name: t('shared:copy.of', { what: t('setup:addresses.eventURL') }) }).click();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(copied, new RegExp(`^http://.*/wx/${demo.component}/event$`));
    assert.equal(await event.getByText(copied, { exact: true }).count(), 1, 'what is copied is what stands there');

    // In the middle of it, the page is loaded anew: the place is kept, the secrets are not.
    await page.reload();
    await step('addresses');
    await page.getByText(t('setup:addresses.secretsGone')).waitFor();
    await visitor.button(t('setup:addresses.next')).click();

    await step('ticket');
    await page.getByText(t('setup:ticket.waiting')).waitFor();
    await control(demo, 'POST', `/components/${demo.component}/ticket`);
    await page.getByText(t('setup:ticket.received')).waitFor();
    await visitor.button(t('setup:ticket.next')).click();

    await step('doctor');
    await page.getByText(new RegExp(`^(${t('setup:doctor.ok')}|${t('setup:doctor.warned')}|${t('setup:doctor.notOK')})$`)).waitFor();
    await visitor.button(t('setup:doctor.next')).click();

    await step('done');
    await visitor.link(t('setup:done.home')).click();
    await page.getByRole('heading', { level: 1, name: t('overview:title') }).waitFor();
    await page.getByText(demo.component).first().waitFor();
  },
  { arrive: async (variant) => stranger(variant, await startDemo({ asNew: true })) },
);
