/** What a real build on a real worker leaves to be seen: log, history, timeline, metrics and a trace; and no secret. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { within } from '../daemon/front/rig.ts';
import { World, type HistoryRow } from '../rig/world.ts';

type Span = {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status?: { readonly code: number };
};
type Export = {
  readonly resourceSpans: readonly [{ readonly scopeSpans: readonly [{ spans: readonly Span[] }] }];
};

/** A collector that keeps what it is sent. */
class Collector {
  readonly server: Server;
  readonly requests: { path: string; token: string; body: string }[] = [];
  #came: () => void = () => undefined;

  constructor() {
    this.server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => (body += text));
      request.on('end', () => {
        const token = String(request.headers['x-token'] ?? '');
        this.requests.push({ path: request.url ?? '', token, body });
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
        this.#came();
      });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async next(): Promise<{ path: string; token: string; body: string }> {
    for (;;) {
      const request = this.requests.shift();
      if (request !== undefined) return request;
      await within('a trace', new Promise<void>((resolve) => (this.#came = resolve)));
    }
  }
}

let world: World;
let project: string;
const collector = new Collector();
beforeAll(async () => {
  collector.server.listen(0, '127.0.0.1');
  await once(collector.server, 'listening');
  world = await World.create(
    '[[workers]]\nid = "here"\ntransport = "embedded"\n',
    '[general]\nlog_level = "debug"\n[metrics]\nenabled = true\nprometheus_port = 0\n',
  );
  project = join(world.home, 'app');
  mkdirSync(join(project, '.git'), { recursive: true });
  writeFileSync(
    join(project, 'Makefile'),
    'all:\n\t@echo done\nbad:\n\t@exit 3\nhush-word-4713:\n\t@true\n',
  );
  await world.start();
  await world.rch(['workers', 'probe', 'here']);
});
afterAll(async () => {
  await world.dispose();
  collector.server.close();
});

/** make on the worker; its record. */
async function make(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<HistoryRow> {
  await world.run(['make', ...args], { cwd: project, env: { RCH_FORCE_REMOTE: '1', ...env } });
  const [row] = await world.history(1);
  expect(row).toMatchObject({ decision: 'remote', worker: 'here' });
  if (row === undefined) throw new Error('no record');
  return row;
}

function logText(): string {
  const folder = join(world.home, '.local', 'state', 'rch', 'log');
  return readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('');
}

/** The lines of a job, once the one that the front writes last is there. */
async function linesOf(job: string): Promise<Record<string, unknown>[]> {
  const look = async (): Promise<Record<string, unknown>[]> => {
    for (;;) {
      const out = await world.rch(['logs', '--json', '-n', '1000', '--job', job.slice(0, 8)]);
      if (out.includes('ended there'))
        return out
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as Record<string, unknown>);
    }
  };
  return within('the end in the log', look());
}

it('logs each step of a job with its id, in the front and in the link, and no secret', async () => {
  const secrets = ['hush-in-env-4711', 'hush-in-argv-4712', 'hush-word-4713'] as const;
  const [inEnv, inArgv, word] = secrets;
  const row = await make([`PASSWORD=${inArgv}`, word], { MY_PLAIN: inEnv, DB_TOKEN: inEnv });
  const lines = await linesOf(row.id);
  expect(new Set(lines.map((line) => line['job']))).toEqual(new Set([row.id]));
  const words = lines.map((line) => String(line['msg']));
  expect(words[0]).toMatch(/^goes to here: /);
  expect(words).toEqual(
    expect.arrayContaining([
      'its launcher is here: commit',
      'running',
      'over: exited',
      'ended there',
    ]),
  );
  expect(lines.at(-1)).toMatchObject({ level: 30, worker: 'here', command: 'make', exit: 0 });
  for (const secret of secrets) expect(logText()).not.toContain(secret);
});

it('shows a log in words, and only the lines that are asked for', async () => {
  const row = await make(['all']);
  await linesOf(row.id);
  const text = await world.rch(['logs', '--job', row.id, '--level', 'info', '--no-color']);
  expect(text).toMatch(
    new RegExp(
      `^\\d{4}-\\d\\d-\\d\\d [\\d:.]+ info {2}${row.id.slice(0, 8)} here: make: goes to here: .*\n.* ended there, exit=0, queue .*\n$`,
    ),
  );
  await expect(world.rch(['logs', '--job', 'ffffffffffff'])).rejects.toThrow(/no line of the log/);
});

it('finds failed and slow builds of a project, and draws the time of one', async () => {
  const failed = await make(['bad']);
  expect(failed.exit).toBe(2);
  const json = async (...args: string[]): Promise<HistoryRow[]> =>
    JSON.parse(await world.rch(['history', '--json', ...args])) as HistoryRow[];
  const [newest, ...others] = await json('--failed');
  expect(newest?.id).toBe(failed.id);
  for (const { exit } of others) expect(exit).not.toBe(0);
  expect(await json('--project', join(world.home, 'elsewhere'))).toEqual([]);
  expect(await json('--project', project, '--since', '1h')).not.toEqual([]);
  expect(await json('--since', '2100-01-01')).toEqual([]);
  const totals = (await json('--slow')).map(({ phases }) => phases['total'] ?? 0);
  expect(totals).toEqual(totals.toSorted((a, b) => b - a));
  const table = await world.rch(['history', '-n', '1']);
  expect(table).toMatch(/^JOB +WHEN \(UTC\) +WHERE +.*TOOK +END +COMMAND/);
  const drawn = await world.rch(['history', failed.id.slice(0, 8)]);
  expect(drawn).toContain('make bad\nhere, exit 2, ');
  expect(drawn).toMatch(/\nrun +[ █▏]+ \d/);
  for (const line of drawn.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
});

it('sends a trace from the question to the end to the collector that the command names', async () => {
  const parent = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`;
  const row = await make(['all'], {
    OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-token=open%20sesame',
    TRACEPARENT: parent,
  });
  const { path, token, body } = await collector.next();
  expect([path, token]).toEqual(['/v1/traces', 'open sesame']);
  const [{ scopeSpans }] = (JSON.parse(body) as Export).resourceSpans;
  const [root, ...children] = scopeSpans[0].spans;
  if (root === undefined) throw new Error('no span');
  expect(root).toMatchObject({
    name: 'make',
    traceId: 'ab'.repeat(16),
    parentSpanId: 'cd'.repeat(8),
  });
  expect(body).toContain(row.id);
  expect(children.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['queue', 'sync', 'run', 'return']),
  );
  let at = BigInt(root.startTimeUnixNano);
  for (const child of children) {
    expect(child).toMatchObject({ traceId: root.traceId, parentSpanId: root.spanId });
    expect(BigInt(child.startTimeUnixNano)).toBe(at);
    at = BigInt(child.endTimeUnixNano);
  }
  expect(BigInt(root.endTimeUnixNano)).toBeGreaterThanOrEqual(at);
});

it('tells Prometheus of it, and people by rch status', async () => {
  const status = JSON.parse(await world.rch(['status', '--json'])) as {
    metrics: { url: string; trouble: string };
    counts: { remote: number };
  };
  expect(status.metrics.trouble).toBe('');
  const answer = await fetch(status.metrics.url);
  const text = await answer.text();
  expect(answer.headers.get('content-type')).toContain('text/plain');
  const value = (name: string): number =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')[1],
    );
  expect(value('rch_compilations_remote_total')).toBe(status.counts.remote);
  expect(value('rch_compile_latency_seconds_bucket{le="300"}')).toBe(status.counts.remote);
  const failed = JSON.parse(await world.rch(['history', '--json', '--failed'])) as HistoryRow[];
  expect(failed).not.toEqual([]);
  expect(value('rch_jobs_total{worker="here",outcome="failure"}')).toBe(failed.length);
  expect(value('rch_worker_up{worker="here"}')).toBe(1);
  expect(value('rch_transfer_bytes_total{worker="here",direction="sent"}')).toBeGreaterThan(0);
  expect(value('rch_tree_bytes_total{worker="here"}')).toBeGreaterThan(0);
  expect(text).not.toContain(project);
  const shown = await world.rch(['status', '-w', '-m', '-j']);
  expect(shown).toContain(`of the last `);
  expect(shown).toMatch(/\nWORKER +HOST +HEALTH/);
  expect(shown).toMatch(/\nhere +embedded +(healthy|degraded)/);
  expect(shown).toMatch(/\nrun +[\d.]+ m?s/);
  expect(await world.rch(['status'])).toContain(`├── metrics: ${status.metrics.url}`);
});
