/** Metrics, traces, the log's levels and the alarm of a daemon whose workers are scripted. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { daemonLog } from '../../../src/base/layout.ts';
import type { StatusReply } from '../../../src/protocol/methods.ts';
import { StreamKind } from '../../../src/protocol/shim.ts';
import { House, within, type LinkScript } from './rig.ts';

const top = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

let house: House;
let link: LinkScript;
let folder: string;

beforeEach(async () => {
  house = new House();
  house.workers('css');
  folder = house.project();
  await house.listenForLinks();
  await house.start();
  link = await house.link();
  await link.connected();
  await house.until('the worker', ({ workers }) => workers[0]?.state === 'connected');
});
afterEach(async () => {
  await house.dispose();
});

async function configure(text: string): Promise<void> {
  house.write('config.toml', text);
  expect((await house.call('reload', {})).problems).toEqual([]);
}

/** What Prometheus would get. */
async function scraped(): Promise<string> {
  const { metrics } = await house.until('metrics', ({ metrics }) => metrics?.trouble === '');
  return (await fetch(metrics?.url ?? '')).text();
}

/** make, asked from a terminal or not, when there is no worker for it; the line it is told. */
async function fallsBack(terminal: boolean): Promise<string> {
  const errKind = terminal ? StreamKind.tty : StreamKind.pipe;
  const launcher = await house.make(folder, { RCH_WORKER: 'nobody' }, { errKind });
  const { notice } = await launcher.skip('ack', 'local').then((answer) => {
    if (answer.type !== 'local') throw new Error(`${answer.type} was not expected`);
    return answer;
  });
  await launcher.end();
  return notice;
}

test('metrics are off by default, and open no port', async () => {
  expect((await house.call('status', {})).metrics).toBeNull();
  await configure('[metrics]\nenabled = true\nprometheus_port = 0\n');
  const first = await house.until('metrics', ({ metrics }) => metrics?.trouble === '');
  expect(new URL(first.metrics?.url ?? '').hostname).toBe('127.0.0.1');
  await configure('');
  expect((await house.call('status', {})).metrics).toBeNull();
  await expect(fetch(first.metrics?.url ?? '')).rejects.toThrow();
});

test('a port that is taken is named, and taken when it is free', async () => {
  const taken = createServer();
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  await configure(`[metrics]\nenabled = true\nprometheus_port = ${port}\n`);
  const troubled = ({ metrics }: StatusReply): boolean =>
    metrics?.trouble.includes('EADDRINUSE') === true;
  await house.until('the trouble', troubled);
  taken.close();
  expect(await scraped()).toContain('# TYPE rch_compilations_total counter');
});

test('what fell back is counted by its cause, and Grafana finds every name that its dashboard asks for', async () => {
  await configure('[metrics]\nenabled = true\nprometheus_port = 0\n');
  await scraped();
  await fallsBack(false);
  const text = await scraped();
  expect(text).toContain('\nrch_compilations_total 1\n');
  expect(text).toContain('\nrch_compilations_local_fallback_total 1\n');
  expect(text).toContain('\nrch_fallbacks_total{cause="not_wished"} 1\n');
  expect(text).toContain('\nrch_hook_latency_seconds_count 1\n');
  expect(text).toContain('\nrch_worker_slots_available{worker="css"} 8\n');
  expect(text).toMatch(/\nrch_event_loop_lag_seconds\{quantile="0.99"\} [\d.e-]+\n/);

  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  const names = new Set(
    types.flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
  const file = join(top, 'dist', 'lib', 'grafana.json');
  const board = JSON.parse(readFileSync(file, 'utf8')) as {
    panels: { id: number; title: string; targets: { expr: string; refId: string }[] }[];
    schemaVersion: number;
    uid: string;
  };
  expect(board.schemaVersion).toBeGreaterThan(30);
  expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length);
  for (const { title, targets } of board.panels)
    for (const { expr } of targets) {
      const asked = expr.match(/\brch_\w+/g) ?? [];
      expect(asked, title).not.toEqual([]);
      for (const name of asked) expect(names, title).toContain(name);
      for (const [open, close] of ['()', '[]', '{}'].map((pair) => pair.split('')))
        expect(expr.split(open ?? '').length, title).toBe(expr.split(close ?? '').length);
    }
});

test('a rising part of commands that run here is told once, where somebody reads it', async () => {
  for (let count = 0; count < 4; count++) expect(await fallsBack(true)).toBe('');
  const { notices } = await house.call('status', {});
  expect(notices).toEqual([
    {
      kind: 'fallbacks',
      text: '4 of 4 commands for workers ran here in the last 10 minutes: RCH_WORKER asks for nobody, which is no worker of ours',
    },
  ]);
  expect(await fallsBack(false)).toBe('');
  expect(await fallsBack(true)).toContain('5 of 5 commands for workers ran here');
  expect(await fallsBack(true)).toBe('');
});

test('a remote command brings the word of the alarm at its end', async () => {
  for (let count = 0; count < 4; count++) await fallsBack(false);
  const launcher = await house.make(folder, {}, { errKind: StreamKind.tty });
  const { job } = await link.expect('plan');
  expect(job.remark).toContain('4 of 4 commands for workers ran here');
  link.done(job);
  await launcher.end();
  const next = await house.make(folder, {}, { errKind: StreamKind.tty });
  expect((await link.expect('plan')).job.remark).toBe('');
  await next.end();
});

test('a link hears which lines the log takes, and its lines get there with their job', async () => {
  expect((await link.expect('logLevel')).level).toBe('info');
  await configure('[general]\nlog_level = "debug"\n');
  expect((await link.expect('logLevel')).level).toBe('debug');
  link.say({ type: 'log', level: 'debug', what: 'a word of the link', job: 'ab12' });
  const read = (): string => readFileSync(daemonLog(house.layout), 'utf8');
  await house.until('the line', () => read().includes('a word of the link'));
  const line = read()
    .split('\n')
    .find((each) => each.includes('a word of the link'));
  expect(JSON.parse(line ?? '')).toMatchObject({ worker: 'css', job: 'ab12', level: 20 });
});

test('a configured collector gets each job; one that is not there stops nothing and is named once', async () => {
  const bodies: string[] = [];
  let came: () => void = () => undefined;
  const collector = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      bodies.push(body);
      response.end('{}');
      came();
    });
  });
  collector.listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const { port } = collector.address() as AddressInfo;
  await configure(`[traces]\notlp_endpoint = "http://127.0.0.1:${port}"\n`);
  const arrived = new Promise<void>((resolve) => (came = resolve));
  const launcher = await house.make(folder);
  const { job } = await link.expect('plan');
  link.done(job, { outcome: { kind: 'lost', reason: 'gone', kept: false } });
  await within('the trace', arrived);
  await launcher.end();
  expect(bodies).toHaveLength(1);
  expect(bodies[0]).toContain(`"traceId":"${job.job}"`);
  expect(bodies[0]).toContain('"status":{"code":2,"message":"gone"}');
  const closed = once(collector, 'close');
  collector.close();
  collector.closeAllConnections();
  await closed;
  for (let count = 0; count < 2; count++) {
    const again = await house.make(folder);
    link.done((await link.expect('plan')).job);
    await house.until('the end', ({ jobs }) => jobs.length === 0);
    await again.end();
  }
  const log = (): string => readFileSync(daemonLog(house.layout), 'utf8');
  await house.until('the word', () => log().includes('traces cannot be sent'));
  expect(log().split('traces cannot be sent').length).toBe(2);
});
