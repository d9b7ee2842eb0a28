/** A probe for each key of config.toml. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { keptByRules } from '../../../daemon/classify/confidence.ts';
import { breakerRulesOf } from '../../../daemon/front/fleet.ts';
import { limitsOf, stopMs } from '../../../daemon/front/front.ts';
import { traceWish } from '../../../daemon/front/otlp.ts';
import { measuredLongAgo } from '../../../daemon/front/speed-desk.ts';
import { helloOf, mannersOf } from '../../../daemon/lifecycle/hello.ts';
import { History } from '../../../daemon/journal/history.ts';
import { journalLine } from '../../../daemon/journal/record.ts';
import { ExperienceBook } from '../../../daemon/select/experience.ts';
import { logPlaceOf } from '../../../daemon/journal/log.ts';
import { worth } from '../../../daemon/select/worth.ts';
import { commandKinds, kindKey, type CommandKind } from '../../../src/base/command-kinds.ts';
import { daemonLog, layoutFor } from '../../../src/base/layout.ts';
import { snakeOf } from '../../../src/config/problems.ts';
import type { Config } from '../../../src/config/schema.ts';
import { workerConfig } from '../../../src/config/worker-schema.ts';
import type { StatusReply } from '../../../src/protocol/methods.ts';
import { BlobPacker } from '../../../src/protocol/blob-packer.ts';
import { seeMakeAll, seePriority, seeScore, type Bench, type Probe } from './bench.ts';

const worker = workerConfig.parse({ id: 'css', host: 'h' });
const seeHello = (config: Config): unknown => helloOf('w', worker, config);
const seeManners = (config: Config): unknown => mannersOf(worker, config);

/** Bytes that a link makes of some text, and those that an agent does. */
function seePacked(config: Config): unknown {
  const words = Array.from({ length: 40_000 }, (_, n) => `${(n * 7919) % 1009} int main`).join(' ');
  const manners = mannersOf(worker, config);
  const { compression, adaptive } = helloOf('w', worker, config);
  const packers = [
    new BlobPacker(manners.compression, manners.adaptive),
    new BlobPacker(compression ?? 3, adaptive),
  ];
  return packers.map((packer) => {
    // A way so fast that nothing is worth packing for it.
    packer.sent(1e9, 1);
    // The first one measures.
    packer.pack(Buffer.from(words));
    return packer.pack(Buffer.from(words)).data.length;
  });
}

const seeBreaker = (config: Config): unknown => breakerRulesOf(config.breaker);

function seeWorth(config: Config): unknown {
  const book = new ExperienceBook();
  const there = { worker: 'css', runMs: 10_000, wayMs: 25_000, sentBytes: 0, syncMs: 0 };
  for (let run = 0; run < 3; run++) book.ranThere('/p', 'make', there);
  book.ranHere('/p', 'make', 10_000);
  const { minCompileTimeMs, benefitThreshold } = config.costBenefit;
  const rules = { minCompileTimeMs, benefitThreshold, always: undefined, never: undefined };
  const common = { force: false, tooSmall: undefined, load: 1, rules };
  return [
    worth({ ...common, command: 'cc compile', estimateMs: 1600, experience: book.of('/p', 'cc') }),
    worth({ ...common, command: 'make', estimateMs: 1600, experience: book.of('/p', 'make') }),
  ];
}

const seeKept =
  (kind: CommandKind) =>
  (config: Config): unknown =>
    keptByRules(kind, kind.split(' '), config.classify);

/** make as anybody asks for it, without RCH_FORCE_REMOTE. */
const seePlainMake = (bench: Bench): Promise<unknown> => bench.make({ RCH_FORCE_REMOTE: '0' });

/** make when its worker is not there. */
const seeWithoutWorker = (bench: Bench): Promise<unknown> => bench.make({ RCH_WORKER: 'nobody' });

const seeSecrets = (bench: Bench): Promise<unknown> =>
  bench.make({ DISPLAY: ':0', MY_TOKEN: 'x', HARMLESS: '1' });

/** A project with a git history, however small. */
async function seeWithHistory(bench: Bench): Promise<unknown> {
  const folder = bench.freshFolder();
  const git = (...args: string[]): void => {
    const date = '2026-01-01T00:00:00Z';
    const env = { PATH: process.env['PATH'], GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date };
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
      cwd: folder,
      env,
    });
  };
  git('init', '-q');
  git('add', '.');
  git('commit', '-qm', 'first');
  return bench.answer(await bench.house.make(folder));
}

/** Something the daemon warns of, and where it is then to be read. */
let warnings = 0;
async function warned(bench: Bench, key: 'log_level' | 'log_file', value: string): Promise<string> {
  warnings += 1;
  const bad = `/proc/no-such-folder/${warnings}`;
  await bench.configure({ [`general.${key}`]: value, 'daemon.pid_file': bad });
  return bad;
}

async function logged(file: string, text: string, bench: Bench): Promise<boolean> {
  await bench.house.until(
    'the log',
    () => existsSync(file) && readFileSync(file, 'utf8').includes(text),
  );
  return true;
}

async function seeLevel(bench: Bench): Promise<unknown> {
  const file = daemonLog(bench.house.layout);
  const level = readFileSync(join(bench.house.layout.config, 'config.toml'), 'utf8').includes(
    'error',
  );
  const first = await warned(bench, 'log_level', level ? 'error' : 'info');
  const second = await warned(bench, 'log_level', 'info');
  await logged(file, second, bench);
  return readFileSync(file, 'utf8').includes(first);
}

async function seeLogFile(bench: Bench): Promise<unknown> {
  const own = readFileSync(join(bench.house.layout.config, 'config.toml'), 'utf8').includes(
    'own.log',
  );
  const file = own ? join(bench.house.root, 'own.log') : daemonLog(bench.house.layout);
  const bad = await warned(bench, 'log_file', file);
  await logged(file, bad, bench);
  return own;
}

/** Waits for what the hook of these probes makes, when there is a hook. */
async function seeFallback(bench: Bench): Promise<unknown> {
  await seeWithoutWorker(bench);
  const file = join(bench.folder, 'fell');
  const hook = readFileSync(join(bench.house.layout.config, 'config.toml'), 'utf8').includes(
    'fell',
  );
  if (hook) await bench.house.until('the hook', () => existsSync(file));
  return existsSync(file) && readFileSync(file, 'utf8').trim();
}

/** Where metrics are served, once they are, or cannot be. */
async function seeMetrics({ house }: Bench): Promise<string | undefined> {
  const opened = ({ metrics }: StatusReply): boolean =>
    metrics === null || !metrics.trouble.includes('is being opened');
  return (await house.until('the port of metrics', opened)).metrics?.url;
}

async function seePidFile(bench: Bench): Promise<unknown> {
  const { house } = bench;
  const file = join(house.root, 'walk.pid');
  if (readFileSync(join(house.layout.config, 'config.toml'), 'utf8').includes('pid_file'))
    await bench.configure({ 'daemon.pid_file': file });
  const { pid } = await bench.house.call('status', {});
  return existsSync(file) && readFileSync(file, 'utf8') === `${pid}\n`;
}

/** How many decisions of ten days ago are told of. */
async function seeHistory(config: Config): Promise<unknown> {
  const folder = mkdtempSync(join(tmpdir(), 'rch-walk-'));
  const file = join(folder, 'history.jsonl');
  const old = new Date(Date.now() - 10 * 86_400_000).toISOString();
  const line = journalLine.parse({
    ...{ id: 'ab'.repeat(16), command: 'make', argv: ['make'], cwd: '/', decision: 'local' },
    ...{ reason: 'r', worker: null, exit: null, signal: null, phases: {}, startedAt: old },
    ...{ bytes: { sent: 0, received: 0, output: 0 }, tool: 'make', conflicts: [], details: null },
    ...{ project: '', kind: '', ended: true },
  });
  writeFileSync(file, `${JSON.stringify(line)}\n`);
  try {
    const history = History.open(file, () => undefined);
    await history.retain(config.metrics.historyRetentionDays);
    const told = await history.last(10);
    await history.close();
    return [told.length, readFileSync(file, 'utf8').length];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function seeBenchmark(bench: Bench): Promise<unknown> {
  const { house } = bench;
  const asked = house.call('benchmark', { worker: 'nobody' }).catch(String);
  const url = readFileSync(join(house.layout.config, 'config.toml'), 'utf8').includes('url');
  await asked;
  if (!url) return 'measured';
  return house.call('benchmark', { worker: 'css' }).catch(String);
}

const byKind = Object.fromEntries(
  commandKinds.map((kind): [string, Probe] => [
    `classify.confidence.${snakeOf(kindKey(kind))}`,
    { to: 0.1, pure: seeKept(kind) },
  ]),
);

export const settingsProbes: Readonly<Record<string, Probe>> = {
  'general.enabled': { to: false },
  'general.verbose': { to: true },
  'general.log_level': { to: 'error', see: seeLevel },
  'general.log_max_size_mb': {
    to: 3,
    pure: ({ general }) => logPlaceOf(layoutFor({ HOME: '/h' }), general),
  },
  'general.log_keep_files': {
    to: 9,
    pure: ({ general }) => logPlaceOf(layoutFor({ HOME: '/h' }), general),
  },
  'general.log_file': { to: '/tmp/own.log', see: seeLogFile },
  'daemon.drain_timeout_sec': { to: 7, pure: (config) => stopMs('drain', config) },
  'daemon.heartbeat_interval_sec': { to: 3, pure: seeManners },
  'daemon.benchmark_interval_hours': {
    to: 1,
    pure: ({ daemon }) =>
      measuredLongAgo(
        '2026-01-01T00:00:00Z',
        Date.parse('2026-01-01T02:00:00Z'),
        daemon.benchmarkIntervalHours,
      ),
  },
  'daemon.pid_file': { to: '/nowhere', see: seePidFile },
  'transfer.compression_level': {
    to: 19,
    beside: { 'transfer.adaptive_compression': false },
    pure: seePacked,
  },
  'transfer.adaptive_compression': { to: false, pure: seePacked },
  'transfer.checksum': { to: true },
  'transfer.max_transfer_size_mb': { to: 5 },
  'transfer.max_git_size_mb': { to: 0, see: seeWithHistory },
  'transfer.timeout_sec': { to: 9 },
  'transfer.exclude.patterns': { to: ['docs/'] },
  'artifacts.compression_level': {
    to: 19,
    beside: { 'transfer.adaptive_compression': false },
    pure: seePacked,
  },
  'artifacts.incremental_sync': { to: false, pure: seeManners },
  'classify.confidence_threshold': { to: 1 },
  ...byKind,
  'classify.exclude': { to: ['make'] },
  'execution.timeout_sec': { to: 90 },
  'execution.resource_limits': {
    to: false,
    see: async (bench) => {
      const folder = bench.freshFolder();
      const rlimits = Buffer.from('limits');
      return bench.answer(await bench.house.make(folder, {}, { rlimits }));
    },
  },
  'execution.resume_timeout_sec': { to: 60, pure: seeHello },
  'execution.fallback_to_local': { to: false, see: seeWithoutWorker },
  'execution.env': { to: { SPEED: 'high' } },
  'execution.cores': { to: 1, see: seeMakeAll },
  'queue.enabled': { to: false },
  'queue.max_wait_sec': { to: 7 },
  'queue.max_local_wait_sec': { to: 7, pure: (config) => limitsOf(config, 8) },
  'queue.priority': { to: 'low', see: seePriority },
  'local.max_cores': { to: 3, pure: (config) => limitsOf(config, 8) },
  'breaker.failure_threshold': { to: 2, pure: seeBreaker },
  'breaker.window_sec': { to: 7, pure: seeBreaker },
  'breaker.recovery_timeout_sec': { to: 7, pure: seeBreaker },
  'breaker.longest_pause_sec': { to: 7, pure: seeBreaker },
  'environment.withhold': { to: [], see: seeSecrets },
  'environment.withhold_patterns': { to: [], see: seeSecrets },
  'environment.pass': { to: ['MY_*'], see: seeSecrets },
  'output.notice': { to: 'always' },
  'selection.speed': { to: 0, see: seeScore },
  'selection.slots': { to: 0, see: seeScore },
  'selection.affinity': { to: 0, see: seeScore },
  'selection.cost': { to: 0, see: seeScore },
  'cost_benefit.min_compile_time_ms': { to: 1700, pure: seeWorth },
  'cost_benefit.benefit_threshold': { to: 4, pure: seeWorth },
  'cost_benefit.always_remote': { to: ['make'], see: seePlainMake },
  'cost_benefit.never_remote': { to: ['make'], see: seePlainMake },
  'benchmark.url': { to: 'http://127.0.0.1:1', see: seeBenchmark },
  'deduplication.enabled': { to: false },
  'deduplication.reuse_sec': { to: 60 },
  'sandbox.network': { to: false },
  'store.limit_gb': { to: 3, pure: seeHello },
  'workers.config_file': {
    to: '~/fleet.toml',
    pure: (_, file) => file.replace(/^\/tmp\/.*\/(?=\.config)/, ''),
  },
  'workers.allowed': { to: ['other'] },
  'hooks.pre_transfer': { to: 'true' },
  'hooks.post_compile': { to: 'true' },
  'hooks.on_fallback': {
    to: 'echo "$RCH_HOOK: $RCH_COMMAND" > .fell; mv .fell fell',
    see: seeFallback,
  },
  'hooks.timeout_sec': { to: 5 },
  'metrics.enabled': { to: true, see: seeMetrics },
  'metrics.prometheus_port': { to: 0, beside: { 'metrics.enabled': true }, see: seeMetrics },
  'metrics.prometheus_address': {
    to: '127.0.0.2',
    beside: { 'metrics.enabled': true, 'metrics.prometheus_port': 0 },
    see: async (bench) => new URL((await seeMetrics(bench)) ?? '').hostname,
  },
  'traces.otlp_endpoint': {
    to: 'http://127.0.0.1:4318',
    pure: ({ traces }) => traceWish(new Map(), traces),
  },
  'metrics.history_retention_days': { to: 5, pure: seeHistory },
};
