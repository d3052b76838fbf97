// The demo as a process, and what it prints for its visitor.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './until.mjs';

const program = resolve(process.env.TUOGUAN ?? fileURLToPath(new URL('../../bin/tuoguan', import.meta.url)));

const visit = {
  origin: /^ +(http:\S+)\/console\//m,
  user: /user: (\S+)/,
  password: /password: (\S+)/,
  link: /^ +(http:\S+\/authorize\/\S+)/m,
  key: /Bearer (\w+)/,
  control: /(http:\S+)\/clock/,
  component: /components\/(wx\w+)\/release-check/,
};

const firstRun = {
  origin: visit.origin,
  token: /set-up token: (\S+)/,
  component: /AppID +(\S+)/,
  secret: /AppSecret +(\S+)/,
  pushToken: /^ +Token +(\S+)/m,
  encodingAESKey: /EncodingAESKey +(\S+)/,
  control: /POST (http:\S+)\/components\//,
};

/**
 * Starts a demo without faults and resolves with what it printed: `origin` of the console,
 * `control` of the simulator, and the rest by the names above.
 */
export async function startDemo({ asNew = false } = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'tuoguan-journeys-'));
  const child = spawn(program, ['demo', '--faults', 'off', '--seed', '1', '--dir', dir, ...(asNew ? ['--first-run'] : [])]);
  let printed = '';
  let ended;
  child.stdout.on('data', (text) => (printed += text));
  child.stderr.on('data', (text) => (printed += text));
  const exit = new Promise((done) => {
    child.on('error', (error) => done((ended = error)));
    child.on('exit', (code, signal) => done((ended = new Error(`it ended: ${signal ?? code}`))));
  });
  const stop = async () => {
    child.kill('SIGINT');
    await exit;
    await rm(dir, { recursive: true, force: true });
  };
  try {
    await until('the demo is ready', () => ended || printed.includes('Ctrl-C'), 60);
    if (ended) throw ended;
    const facts = Object.entries(asNew ? firstRun : visit).map(([name, pattern]) => [name, printed.match(pattern)?.[1]]);
    const missing = facts.filter(([, value]) => value === undefined).map(([name]) => name);
    if (missing.length > 0) throw new Error(`it does not tell its ${missing.join(', ')}`);
    return { ...Object.fromEntries(facts), stop };
  } catch (error) {
    await stop();
    throw new Error(`${program} demo said:\n${printed}`, { cause: error });
  }
}

async function ask(url, method, body, headers) {
  const response = await fetch(url, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url} was answered ${response.status}: ${text.slice(0, 300)}`);
  return text === '' ? undefined : JSON.parse(text);
}

/** Calls the simulator's control. */
export const control = (demo, method, path, body) => ask(demo.control + path, method, body);

/** Calls the API with the key that the demo prints. */
export const api = (demo, method, path, body) => ask(demo.origin + path, method, body, { Authorization: `Bearer ${demo.key}` });
