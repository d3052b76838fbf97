import assert from 'node:assert/strict';
import { examine } from './examine.mjs';
import { journey, stranger } from './journey.mjs';
import { capture } from './screenshots.mjs';

journey(
  'sign in, and out',
  async (visitor) => {
    const { page, t } = visitor;
    const { language, width, theme } = visitor.variant;
    visitor.allow(/^401 POST \/v1\/session$/);
    await page.goto('/console/events');
    await visitor.button(t('session:signIn')).waitFor();
    await capture(visitor, `sign-in-${language}-${width}-${theme}`);
    await visitor.button(t('session:signIn')).click();
    await page.getByText(t('session:nameNeeded')).waitFor();
    assert.deepEqual(await examine(page), []);

    await visitor.field(t('session:name')).fill(visitor.demo.user);
    await visitor.field(t('session:password')).fill('not the password');
    await visitor.button(t('session:signIn')).click();
    await page.getByRole('alert').filter({ hasText: /./ }).first().waitFor();
    assert.equal(await visitor.field(t('session:name')).inputValue(), visitor.demo.user, 'what was typed stays');

    await visitor.field(t('session:password')).fill(visitor.demo.password);
    await visitor.button(t('session:signIn')).click();
    // The page that was asked for, not the first one.
    await page.getByRole('heading', { level: 1, name: t('events:title') }).waitFor();

    if (visitor.narrow) await page.goto('/console/account');
    await page.getByRole('button', { name: t(visitor.narrow ? 'session:account.signOut' : 'layout:signOut') }).first().click();
    await page.getByRole('heading', { level: 1, name: t('session:signIn') }).waitFor();
    await page.goto('/console/events');
    await page.getByRole('heading', { level: 1, name: t('session:signIn') }).waitFor();
  },
  { arrive: stranger },
);
