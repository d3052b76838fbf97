// Somebody in front of a browser, and everything that must never happen there.
import { execFileSync } from 'node:child_process';
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { textsIn } from './texts.mjs';

/** A journey's browser: language, width and theme. */
export const variants = {
  zh: { language: 'zh', width: 1440, theme: 'light' },
  en: { language: 'en', width: 390, theme: 'dark' },
};

const locales = { zh: 'zh-CN', en: 'en-US' };
const patience = 20_000;

export const openBrowser = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? execFileSync('which', ['chromium'], { encoding: 'utf8' }).trim(),
    args: ['--no-sandbox', '--disable-background-networking'],
  });

/** A reply in a line: "403 POST /v1/users". */
const summary = (response) => `${response.status()} ${response.request().method()} ${new URL(response.url()).pathname}`;

export class Visitor {
  /** What must not happen: one line each. */
  mistakes = [];
  /** What the API answered: { what, text }. */
  replies = [];
  #allowed = [/^401 GET \/v1\/session$/];
  #reading = [];

  static async arrive(browser, demo, variant, { state } = {}) {
    const visitor = new Visitor();
    const { language, width, theme } = variant;
    Object.assign(visitor, { demo, variant, narrow: width < 768, t: await textsIn(language) });
    visitor.context = await browser.newContext({
      baseURL: demo.origin,
      locale: locales[language],
      timezoneId: 'Asia/Shanghai',
      colorScheme: theme,
      reducedMotion: 'reduce',
      permissions: ['clipboard-read', 'clipboard-write'],
      viewport: { width, height: width < 768 ? 844 : 900 },
      ...(state ? { storageState: state } : {}),
    });
    visitor.context.setDefaultTimeout(patience);
    await visitor.#watch();
    visitor.page = await visitor.context.newPage();
    return visitor;
  }

  /** Lets a reply like "403 POST /v1/users" pass, or a message in the browser's console. */
  allow(pattern) {
    this.#allowed.push(pattern);
  }

  async #watch() {
    await this.context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`refused by the content security policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
      });
    });
    this.context.on('weberror', (error) => this.#object(`a script failed: ${error.error().stack ?? error.error()}`));
    this.context.on('console', (message) => {
      // Replies are judged below; the browser's remark about them says less.
      if (message.type() !== 'error' || message.text().startsWith('Failed to load resource: the server responded')) return;
      this.#object(`in the console: ${message.text()}`);
    });
    this.context.on('request', (request) => {
      const url = new URL(request.url());
      if (url.protocol === 'data:' || url.protocol === 'blob:') return;
      if (url.hostname !== '127.0.0.1') this.#object(`left this machine: ${request.url()}`);
      const page = request.isNavigationRequest() ? '' : request.frame().url();
      if (page.startsWith(`${this.demo.origin}/console/`) && url.origin !== this.demo.origin) this.#object(`left the console's origin: ${request.url()}`);
    });
    this.context.on('response', (response) => {
      if (response.status() >= 400 && this.#ours(response)) this.#object(summary(response));
    });
    this.context.on('requestfinished', (request) => this.#reading.push(this.#read(request)));
  }

  #ours = (message) => new URL(message.url()).origin === this.demo.origin;

  async #read(request) {
    if (!this.#ours(request)) return;
    const response = await request.response();
    if (!/json/.test(response.headers()['content-type'] ?? '')) return;
    // Nothing comes back where the page went away first.
    const text = await Promise.race([response.text().catch(() => ''), pause(1_000, '')]);
    this.replies.push({ what: summary(response), text });
  }

  #object(mistake) {
    if (!this.#allowed.some((pattern) => pattern.test(mistake))) this.mistakes.push(mistake);
  }

  /** Fails if anything happened that must not. */
  async judge() {
    await Promise.all(this.#reading);
    const mistakes = this.mistakes.filter((mistake) => !this.#allowed.some((pattern) => pattern.test(mistake)));
    assert.deepEqual(mistakes, [], 'what must not happen in a browser');
  }

  /** Keeps what the open pages look like and are made of. */
  async keep(folder, name) {
    mkdirSync(folder, { recursive: true });
    for (const [i, page] of this.context.pages().entries()) {
      const file = join(folder, `${name.replace(/[^\w-]+/g, '-')}-${i}`);
      await page.screenshot({ path: `${file}.png`, timeout: 5_000 }).catch(() => undefined);
      await page.content().then((html) => writeFile(`${file}.html`, `<!-- ${page.url()} -->\n${html}`), () => undefined);
    }
  }

  async signIn(name = this.demo.user, password = this.demo.password) {
    const { page, t } = this;
    await page.goto('/console/');
    await this.field(t('session:name')).fill(name);
    await this.field(t('session:password')).fill(password);
    await this.button(t('session:signIn')).click();
    await page.getByRole('link', { name: t('layout:account', { name: '' }) }).waitFor();
  }

  /** Goes to a page by the menu. */
  async menu(title) {
    const { page, t } = this;
    if (this.narrow) await page.getByRole('button', { name: t('layout:menu') }).click();
    await page.getByRole('navigation', { name: t('layout:pages') }).getByRole('link', { name: title, exact: true }).click();
    await page.getByRole('heading', { level: 1, name: title }).waitFor();
  }

  /** A row of a list; on a phone, its card. */
  row(text) {
    return this.page.getByRole(this.narrow ? 'listitem' : 'row').filter({ hasText: text });
  }

  /** The input with a label, required or not. */
  field(label) {
    return this.page.getByLabel(new RegExp(`^${label.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}( \\*)?$`));
  }

  button(name) {
    return this.page.getByRole('button', { name, exact: true });
  }

  link(name) {
    return this.page.getByRole('link', { name, exact: true });
  }
}
