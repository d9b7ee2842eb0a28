/** A short chaos, and single troubles among two workers: every command ends, and right. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chaos } from '../../scripts/havoc/run.ts';
import { config, Site } from '../../scripts/havoc/site.ts';
import type { WorkerStatus } from '../../src/protocol/methods.ts';
import { noFleet } from '../rig/fleet.ts';
import { ended, type Ended } from '../rig/world.ts';
import { write } from './projects.ts';
import { until, within, words } from './trouble.ts';

let site: Site;

/** Builds until its input ends. */
const waiting = { Makefile: 'all:\n\t@echo begun; cat > said; echo over; echo ran >> runs\n' };

/** A build that has said that it began. */
type Begun = {
  readonly end: Promise<Ended>;
  readonly say: (text: string) => void;
  readonly worker: string;
};

function project(name: string, files: Readonly<Record<string, string>> = waiting): string {
  const folder = join(site.base, name);
  write(folder, files);
  return folder;
}

async function begin(folder: string): Promise<Begun> {
  const child = site.world.spawn(['make'], { cwd: folder, env: { RCH_FORCE_REMOTE: '1' } });
  const end = ended(child);
  if (child.stdout === null) throw new Error('no output');
  await within(once(child.stdout, 'data'), 'the beginning');
  const [row] = await site.world.history(1);
  expect(row).toMatchObject({ decision: 'remote', cwd: folder });
  return {
    end,
    say: (text) => {
      child.stdin?.end(text);
    },
    worker: row?.worker ?? '',
  };
}

async function workers(): Promise<WorkerStatus[]> {
  const rows = JSON.parse(await site.world.rch(['workers', 'list', '--json'])) as {
    status: WorkerStatus;
  }[];
  return rows.map(({ status }) => status);
}

describe.skipIf(noFleet !== undefined)('two workers in trouble', { tags: 'decisive' }, () => {
  beforeAll(async () => {
    site = await Site.set('havoc', 2);
  }, 900_000);
  afterAll(async () => {
    await site.clear();
  });

  it('builds right, or ends with a clear error, while everything breaks, and leaves nothing behind', async () => {
    const seed = Number(process.env['RCH_TEST_SEED'] ?? 4);
    const log: string[] = [];
    const report = await chaos(site, {
      seed,
      builds: 12,
      lanes: 2,
      cargo: 0,
      log: (text) => log.push(text),
    });
    expect(report.findings, `seed ${seed}\n${log.join('\n')}`).toEqual([]);
    // Twins are two.
    expect(report.tally.builds).toBeGreaterThanOrEqual(12);
  });

  it('goes on when the link stands still: it is ended, and the next one takes the command up', async () => {
    await site.probe();
    const folder = project('still');
    const build = await begin(folder);
    const link = site.linkOf(build.worker);
    expect(link).toBeDefined();
    process.kill(link ?? 0, 'SIGSTOP');
    build.say('all of it');
    const end = await within(build.end, 'the build', 120_000);
    expect(end.code, words(end)).toBe(0);
    expect(words(end)).toBe('begun\nover\n');
    expect(readFileSync(join(folder, 'said'), 'utf8')).toBe('all of it');
    expect(readFileSync(join(folder, 'runs'), 'utf8')).toBe('ran\n');
  });

  it('drains a worker: what runs there is named and waited for, what comes goes elsewhere', async () => {
    await site.probe();
    const first = await begin(project('drained'));
    const lib = join(site.world.data, 'lib', 'rch.mjs');
    const drain = site.world.spawn([process.execPath, lib, 'workers', 'drain', first.worker], {
      cwd: site.base,
      shims: false,
    });
    const drained = ended(drain);
    if (drain.stderr === null) throw new Error('no output');
    const [said] = (await within(once(drain.stderr, 'data'), 'its word')) as [Buffer];
    expect(said.toString()).toMatch(/^waiting for [0-9a-f]{8}: make \(/);
    const second = await begin(project('elsewhere'));
    expect(second.worker).not.toBe(first.worker);
    second.say('');
    expect((await within(second.end)).code).toBe(0);
    first.say('');
    expect((await within(first.end)).code).toBe(0);
    const end = await within(drained);
    expect(end.code, words(end)).toBe(0);
    expect(end.stderr.toString()).toMatch(/^ended: [0-9a-f]{8} make$/m);
    expect(end.stdout.toString()).toMatch(/takes no more commands, and nothing runs there/);
    await site.world.rch(['daemon', 'restart']);
    const status = (await workers()).find(({ id }) => id === first.worker);
    expect(status).toMatchObject({ health: 'draining', mandate: 'draining' });
    await site.world.rch(['workers', 'enable', first.worker]);
    await site.world.rch(['workers', 'probe', first.worker]);
    const after = (await workers()).find(({ id }) => id === first.worker);
    expect(after).toMatchObject({ mandate: 'enabled', state: 'connected' });
    expect(['healthy', 'degraded']).toContain(after?.health);
  });

  it('says that a command ran into its time limit, and ends all of it', async () => {
    site.world.writeConfig(
      'config.toml',
      config.replace('[execution]', '[execution]\ntimeout_sec = 1'),
    );
    await site.probe();
    const folder = project('limited', { Makefile: 'all:\n\t@echo begun; sleep 7654; echo over\n' });
    // On a loaded worker it may be over before the tool has said a word.
    const child = site.world.spawn(['make'], { cwd: folder, env: { RCH_FORCE_REMOTE: '1' } });
    const end = await within(ended(child));
    expect(end.code).toBe(102);
    const [row] = await site.world.history(1);
    const worker = row?.worker ?? '';
    expect(end.stderr.toString()).toBe(
      `rch: the command on ${worker} was ended: it ran into its time limit of 1 s (execution.timeout_sec)\n`,
    );
    const at = site.fleet.workers.find(({ id }) => id === worker);
    if (at === undefined) throw new Error('no such worker');
    await until(
      async () => !(await site.fleet.inside(at, 'ps', '-eo', 'args')).includes('sleep 7654'),
      'were its processes gone',
    );
    expect(row?.reason).toMatch(/^it ran into its time limit/);
    expect((await workers()).map(({ breaker }) => breaker)).toEqual(['closed', 'closed']);
  });
});
