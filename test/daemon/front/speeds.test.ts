/** How fast workers are: measured by their agents, or as a cloud_benchmarker says. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cloudScore, RowCutter, scoresUrl } from '../../../daemon/front/cloud-scores.ts';
import { SpeedDesk, type Measured } from '../../../daemon/front/speed-desk.ts';
import { defaultConfig, type Config } from '../../../src/config/schema.ts';
import { workerConfig } from '../../../src/config/worker-schema.ts';
import type { WorkerSpeed } from '../../../src/protocol/methods.ts';
import { agentFactsLikeHere, House } from './rig.ts';

let server: Server;
let answer: (write: (text: string) => void) => void;
let asked: string[];

const urlOf = (path = ''): string =>
  `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;

beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.on('error', () => undefined);
    answer((text) => response.write(text));
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

const row = (hostname: string, datetime: string, score: number, address = ''): object => ({
  ...{ id: 1, datetime, hostname, IP_address: address, overall_score: score },
});
const rows = (...all: object[]): void => {
  answer = (write) => {
    write(JSON.stringify(all));
  };
};

test('the rows of the last days are asked for, unless the URL says what to ask for', () => {
  expect(scoresUrl('http://b')).toBe('http://b/data/overall/?time_period=last_7_days');
  expect(scoresUrl('http://b/x//')).toBe('http://b/x/data/overall/?time_period=last_7_days');
  expect(scoresUrl('http://b/x?time_period=all')).toBe('http://b/x/data/overall/?time_period=all');
});

test('a list is cut into its rows wherever it was cut on the way', () => {
  const text = ' [{"a": "}]{\\"", "b": {"c": 1}}, {"d": []}] ';
  for (let at = 0; at <= text.length; at++) {
    const cutter = new RowCutter();
    const cut = [text.slice(0, at), text.slice(at)].flatMap((part) => [...cutter.push(part)]);
    expect(cut).toEqual(['{"a": "}]{\\"", "b": {"c": 1}}', '{"d": []}']);
    expect(cutter.sound).toBe(true);
  }
  const html = new RowCutter();
  expect([...html.push('<html>{}</html>')]).toEqual([]);
  expect(html.sound).toBe(false);
});

test('the newest score of a machine counts, found by name or address', async () => {
  rows(
    row('other', '2026-03-01T00:00:00', 99),
    row('css', '2026-01-01T00:00:00.5', 10),
    row('css', '2026-02-01T00:00:00.5', 30),
    row('css', '2026-01-15T00:00:00.5', 20),
    row('vm-1', '2026-02-15T00:00:00', 40, '192.0.2.7'),
  );
  expect(await cloudScore(urlOf(), new Set(['css']))).toEqual({ ok: true, value: 30 });
  expect(await cloudScore(urlOf(), new Set(['x', '192.0.2.7']))).toEqual({ ok: true, value: 40 });
  expect(await cloudScore(urlOf(), new Set(['nobody']))).toMatchObject({
    failure: { reason: expect.stringContaining('has no score of nobody') as string },
  });
  expect(new Set(asked)).toEqual(new Set(['/data/overall/?time_period=last_7_days']));
});

test('years of rows are read, and an answer without end is left', async () => {
  const many = Array.from({ length: 20_000 }, () => row('other', '2026-01-01T00:00:00', 1));
  rows(...many, row('css', '2026-01-02T00:00:00', 50));
  expect(await cloudScore(urlOf(), new Set(['css']))).toEqual({ ok: true, value: 50 });
  answer = (write) => {
    write('[');
    for (let count = 0; count < 70; count++) write(' '.repeat(1_000_000));
  };
  expect(await cloudScore(urlOf(), new Set(['css']))).toMatchObject({
    failure: { reason: expect.stringContaining('answered too much') as string },
  });
  answer = (write) => {
    write('<html>');
  };
  expect(await cloudScore(urlOf(), new Set(['css']))).toMatchObject({
    failure: { reason: expect.stringContaining('did not answer with scores') as string },
  });
});

const facts = { single: 2200, all: 8000, memory: 12_000, disk: 1000, compileMs: 450 };

/** A desk over workers that are there and idle; `kept`: what is known of their speeds. */
async function desk(
  kept: Readonly<Record<string, WorkerSpeed>>,
  change: (config: Config) => Config = (config) => config,
) {
  const speeds = new Map(Object.entries(kept));
  const measured: string[] = [];
  const told = await agentFactsLikeHere([]);
  const worker = (id: string, used = 0): Measured => ({
    id,
    worker: workerConfig.parse({ id, host: id }),
    state: {
      ...{ kind: 'connected', since: 0, facts: told, factsAt: 0, freeBytes: 1e12 },
      slots: { total: 8, used, own: 0 },
      ...{ clockOffset: 0n, roundTrip: 1, load: 0, clockSet: undefined, silentMs: 0 },
    },
    requests: {
      benchmark: () => {
        measured.push(id);
        return Promise.resolve({ ok: true, value: facts });
      },
    },
  });
  const fleet = [worker('a'), worker('b', 1), worker('c')];
  const made = new SpeedDesk({
    fleet: { all: () => fleet },
    jobs: { countOn: () => 0 },
    speeds: { of: (id) => speeds.get(id), set: (id, value) => speeds.set(id, value) },
    config: () => change(defaultConfig()),
    log: (what) => measured.push(what),
  });
  return { made, measured };
}

const own = (score: number, at = new Date()): WorkerSpeed => ({
  ...{ score, at: at.toISOString(), facts },
});
const cloud = (score: number): WorkerSpeed => ({ ...own(score), facts: null });
const withUrl = (url: string) => (config: Config) => ({ ...config, benchmark: { url } });

test('idle workers are measured one at a time, when they have been idle for long and their score is old', async () => {
  const { made, measured } = await desk({ a: own(50, new Date(0)), c: own(50) });
  made.look(599_999);
  expect(measured).toEqual([]);
  made.look(600_000);
  made.look(600_000);
  await new Promise(setImmediate);
  expect(measured).toEqual(['a']);
  expect(made.scoreOf('a')).toBe(100);
  // Fresh scores, and a worker that is at work.
  made.look(1_300_000);
  expect(measured).toEqual(['a']);
});

test('scores of a cloud_benchmarker and our own are never compared with each other', async () => {
  const mixed = { a: own(80), b: cloud(7) };
  expect((await desk(mixed)).made.scoreOf('a')).toBe(80);
  expect((await desk(mixed)).made.scoreOf('b')).toBeUndefined();
  const asking = (await desk(mixed, withUrl('http://b'))).made;
  expect(asking.scoreOf('a')).toBeUndefined();
  expect(asking.scoreOf('b')).toBe(7);
  const before = (await desk({ a: own(80) }, withUrl('http://b'))).made;
  expect(before.scoreOf('a')).toBe(80);
});

test('rch workers benchmark has the agent measure, or asks benchmark.url', async () => {
  const house = new House();
  try {
    house.workers('css');
    await house.listenForLinks();
    await house.start();
    const link = await house.link();
    await link.connected();
    await house.until('it', ({ workers }) => workers[0]?.state === 'connected');
    const measuring = house.call('benchmark', { worker: 'css' });
    const { request } = await link.expect('benchmark');
    link.say({ type: 'benchmarked', request, facts });
    expect(await measuring).toMatchObject({ score: 100, facts });
    rows(row('css.invalid', '2026-01-01T00:00:00', 12.5));
    house.write('config.toml', `[benchmark]\nurl = "${urlOf()}"\n`);
    await house.call('reload', {});
    expect(await house.call('benchmark', { worker: 'css' })).toMatchObject({
      score: 12.5,
      facts: null,
    });
    expect((await house.call('status', {})).workers[0]?.speed).toBe(12.5);
    answer = () => undefined;
    await expect(house.call('benchmark', { worker: 'css' })).rejects.toThrow(/has no score of css/);
  } finally {
    await house.dispose();
  }
});
