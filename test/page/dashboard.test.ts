/** The web page in a real browser, over a build on a worker. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Browser } from '../rig/browser.ts';
import { Gate, toolText, type Tool } from '../rig/gate.ts';
import { ended, World, type Ended } from '../rig/world.ts';
import { top } from '../shims/build.ts';

/** Pictures for people to look at. */
const pictures = join(top, 'build', 'pictures');

let world: World;
let gate: Gate;
let project: string;
let browser: Browser;
let tool: Tool | undefined;
let build: Promise<Ended>;
let url: string;
beforeAll(async () => {
  mkdirSync(pictures, { recursive: true });
  world = await World.create(
    '[[workers]]\nid = "near"\ntransport = "embedded"\ntotal_slots = 4\ntags = ["fast"]\n\n' +
      '[[workers]]\nid = "css"\nhost = "203.0.113.20"\nuser = "ubuntu"\nenabled = false\n',
  );
  gate = await Gate.open();
  project = realpathSync(mkdtempSync(join(tmpdir(), 'rch-page-')));
  writeFileSync(join(project, 'tool.py'), toolText);
  writeFileSync(
    join(project, 'Makefile'),
    `all:\n\t@/usr/bin/python3 tool.py ${gate.port}\nquick:\n\t@echo made > made\nbad:\n\t@exit 3\n`,
  );
  await world.start();
  await world.rch(['workers', 'probe', 'near']);
  const env = { RCH_FORCE_REMOTE: '1' };
  await world.run(['make', 'quick'], { cwd: project, env });
  await world.run(['make', 'bad'], { cwd: project, env });
  await world.run(['make', '--version'], { cwd: project });
  browser = await Browser.launch();
  await browser.window(1280, 1000);
});
afterAll(async () => {
  await browser.close();
  gate.close();
  await world.dispose();
  rmSync(project, { recursive: true, force: true });
});

/** A build runs: one that a test ended is begun anew. */
async function building(): Promise<void> {
  if (tool?.alive === true) return;
  const child = world.spawn(['make'], { cwd: project, env: { RCH_FORCE_REMOTE: '1' } });
  child.stdin?.end();
  build = ended(child);
  tool = await gate.tool();
  await tool.does(`print('\\033[1;32m   Compiling\\033[0m app v0.1.0 (/home/me/app)')`);
  await tool.does(`print('\\033[1;33mwarning\\033[0m\\033[1m: unused variable: \`x\`\\033[0m')`);
}

/** The page over a build, opened as for the first time. */
async function open(): Promise<void> {
  await building();
  ({ url } = JSON.parse(await world.rch(['dashboard', '--json'])) as { url: string });
  await browser.go('about:blank');
  await browser.go(url);
  await browser.sees(`${text('#connection')} === 'live'`);
}

const text = (selector: string): string =>
  `[...document.querySelectorAll(${JSON.stringify(selector)})].map((each) => each.textContent).join('|')`;
const named = (name: string): string =>
  `document.querySelector(${JSON.stringify(`button[aria-label="${name}"]`)})`;

/** What an accessibility checker finds wrong, contrast included. */
async function faults(): Promise<unknown> {
  return browser.value(
    `axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html + ' ' + node.failureSummary)]))`,
  );
}

it('shows fleet, running build with coloured live output, recent commands and charts', async () => {
  await browser.scheme('light');
  await open();
  await browser.sees(`${text('#workers h3')} === 'near|css'`);
  await browser.sees(`/^(healthy|degraded).disabled$/.test(${text('#workers .badge')})`);
  await browser.sees(`${text('#running .output')}.includes('Compiling app v0.1.0')`);
  expect(await browser.value(text('#running .output .c2.bold'))).toBe('   Compiling');
  await tool?.does(`print('\\033[31mlive\\033[0m')`);
  await browser.sees(`${text('#running .output .c1')}.endsWith('live')`);
  await browser.sees(`${text('#recent th')} === 'make --version|make bad|make quick'`);
  expect(await browser.value(text('#recent tr td:last-child'))).toBe('|exit 2|exit 0');
  expect(
    await browser.value(
      `document.querySelector('#recent tr:nth-child(3) svg').getAttribute('aria-label')`,
    ),
  ).toMatch(/run \d/);
  await browser.sees(`document.querySelectorAll('#charts svg').length === 4`);
  // The key is no longer in the address.
  expect(await browser.value('location.href')).toBe(url.split('#')[0]);
});

it('passes a checker of accessibility, and is to be looked at, in light and in dark', async () => {
  await browser.value(`${axe.source}; 0`);
  expect(await faults()).toEqual([]);
  await browser.picture(join(pictures, 'dashboard-light.png'));
  await browser.scheme('dark');
  expect(await faults()).toEqual([]);
  await browser.picture(join(pictures, 'dashboard-dark.png'));
  await browser.window(420, 900);
  expect(await browser.value('document.documentElement.scrollWidth')).toBeLessThanOrEqual(420);
  await browser.picture(join(pictures, 'dashboard-narrow.png'));
  await browser.window(1280, 1000);
});

it('says why a command ran where it did, by keyboard alone', async () => {
  await browser.value(`document.querySelector('#recent tr:nth-child(3) th button').focus()`);
  await browser.press('Enter');
  await browser.sees(`document.querySelector('#details').open`);
  const told = await browser.value(text('#details'));
  expect(told).toContain('on near: RCH_FORCE_REMOTE skips the weighing');
  expect(told).toContain('Phases');
  expect(await browser.value(text('#details tbody th'))).toContain('near');
  expect(await browser.value(`document.activeElement.closest('dialog')?.id`)).toBe('details');
  expect(await faults()).toEqual([]);
  await browser.picture(join(pictures, 'dashboard-why.png'));
  await browser.press('Escape');
  await browser.sees(`!document.querySelector('#details').open`);
  // Back where it was opened.
  expect(await browser.value(`document.activeElement.textContent`)).toBe('make quick');
});

it('filters, drains and cancels, the latter two after a question', async () => {
  await open();
  await browser.sees(`${named('Cancel: make')} !== null`);
  await browser.value(`document.querySelector('#filter').focus()`);
  await browser.type('bad');
  await browser.sees(`${text('#recent th')} === 'make bad'`);
  await browser.value(
    `(() => { const filter = document.querySelector('#filter'); filter.value = ''; filter.dispatchEvent(new Event('input')); })()`,
  );
  await browser.value(`${named('Drain: near')}.focus()`);
  await browser.press('Enter');
  await browser.sees(`${text('#confirm h2')} === 'Drain near?'`);
  await browser.press('Escape');
  await browser.sees(`!document.querySelector('#confirm').open`);
  await browser.press('Enter');
  await browser.sees(`document.querySelector('#confirm').open`);
  await browser.value(`document.querySelector('#confirm .danger').click()`);
  await browser.sees(`${text('#workers .badge')} === 'draining|disabled'`);
  expect(await world.rch(['workers', 'list'])).toMatch(/near .*draining/);
  await browser.value(`${named('Let it work: near')}.click()`);
  await browser.value(`document.querySelector('#confirm .danger').click()`);
  await browser.sees(`/^(healthy|degraded).disabled$/.test(${text('#workers .badge')})`);

  await browser.value(`${named('Cancel: make')}.click()`);
  await browser.value(`document.querySelector('#confirm .danger').click()`);
  // make dies of the signal too, or tells that its tool did, whichever it sees first.
  expect((await build).code).not.toBe(0);
  await browser.sees(`/(signal|exit) 2$/.test(${text('#recent tr:first-child')})`);
  await browser.sees(`/^make ended, (signal|exit) 2$/.test(${text('#announcement')})`);
  expect(await browser.value(text('#running li'))).toBe('');
});

it('is opened on a desktop by a file for the user alone, since arguments are seen by every account', async () => {
  const bin = join(project, 'bin');
  const asked = join(project, 'asked');
  mkdirSync(bin, { recursive: true });
  rmSync(asked, { force: true });
  writeFileSync(
    join(bin, 'xdg-open'),
    `#!/bin/sh\nprintf %s "$*" > ${asked}.new\nmv ${asked}.new ${asked}\n`,
    {
      mode: 0o755,
    },
  );
  const PATH = `${bin}:${process.env['PATH'] ?? ''}`;
  await world.rch(['dashboard', '--open'], { PATH, DISPLAY: ':0' });
  await expect.poll(() => existsSync(asked)).toBe(true);
  const link = readFileSync(asked, 'utf8');
  expect(link).toMatch(/^file:.*dashboard\.html$/);
  expect(statSync(new URL(link)).mode & 0o777).toBe(0o600);
  await browser.go(link);
  await browser.sees(`${text('#connection')} === 'live'`);
});

it('asks nobody but its own server, and nothing is complained of', () => {
  const { origin } = new URL(url);
  const elsewhere = browser.requests.filter(
    (each) => !each.startsWith(`${origin}/`) && !/^data:|^file:.*\/dashboard\.html$/.test(each),
  );
  expect(elsewhere).toEqual([]);
  expect(browser.complaints).toEqual([]);
});

it('keeps its key over a reload, and says when it no longer has a server', async () => {
  await open();
  await browser.send('Page.reload');
  await browser.sees(`${text('#connection')} === 'live' && ${text('#workers h3')} === 'near|css'`);
  expect(await world.rch(['dashboard', '--stop'])).toBe('the page is gone\n');
  await browser.sees(`${text('#connection')}.startsWith('connection lost')`);
});
