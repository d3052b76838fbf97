import assert from 'node:assert/strict';
import { api } from './demo.mjs';
import { browser, demo, journey } from './journey.mjs';
import { Visitor } from './visitor.mjs';

const password = 'long enough to type';

/** Somebody whose sessions nobody else uses. */
async function employee(variant) {
  const name = `employee-${variant.language}`;
  const { user } = await api(demo, 'POST', '/v1/users', { name, role: 'operator', password });
  return Object.assign(await Visitor.arrive(browser, demo, variant), { user });
}

journey(
  'a session that ends in the middle of a form costs nothing',
  async (visitor) => {
    const { page, t, user } = visitor;
    visitor.allow(/^401 /);
    await visitor.signIn(user.name, password);
    await page.goto('/console/links/new');
    const reference = visitor.field(t('links:reference'));
    await reference.fill('typed before the end');

    // It ends, and the page is loaded anew.
    await api(demo, 'DELETE', `/v1/users/${user.id}/sessions`);
    await page.reload();
    await visitor.field(t('session:name')).fill(user.name);
    await visitor.field(t('session:password')).fill(password);
    await visitor.button(t('session:signIn')).click();
    await reference.waitFor();
    assert.equal(await reference.inputValue(), 'typed before the end');

    // It ends, and the form is sent.
    await api(demo, 'DELETE', `/v1/users/${user.id}/sessions`);
    await visitor.button(t('links:create')).click();
    const again = page.getByRole('dialog', { name: t('session:again') });
    await again.waitFor();
    assert.equal(await visitor.field(t('session:name')).inputValue(), user.name);
    await visitor.field(t('session:password')).fill(password);
    await visitor.button(t('session:signIn')).click();
    await again.waitFor({ state: 'detached' });
    await page.getByRole('heading', { level: 1, name: 'typed before the end' }).waitFor();
  },
  { arrive: employee },
);
