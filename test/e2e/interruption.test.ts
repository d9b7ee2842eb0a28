/** Builds that are cut, killed or left alone: they end as they should, hang nowhere, and harm no file. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { JobsReply } from '../../src/protocol/methods.ts';
import { noFleet, Relay } from '../rig/fleet.ts';
import { ended, type Ended } from '../rig/world.ts';
import type { Files } from './projects.ts';
import { Scene, tiny, until, within, words } from './trouble.ts';

/** A program made after a wait that ends with the file `slow`; the wait has a name of its own in a process list. */
const slow: Files = {
  Makefile: 'x: x.c\n\t@echo begun; if [ -e slow ]; then sleep 1234567; fi\n\tcc x.c -o x\n',
  'x.c': tiny['x.c'] ?? '',
  slow: '',
};
const sleeper = 'sleep 1234567';

let scene: Scene;
let relay: Relay | undefined;
/** Process groups that tests began. */
const groups = new Set<number>();

/** A running build that has said `begun`. */
type Running = {
  readonly pid: number;
  readonly end: Promise<Ended>;
  /** Its standard input, where that is left open. */
  readonly input: Writable | null;
  /** Settles when so many bytes of its standard output have come. */
  readonly heard: (bytes: number) => Promise<void>;
};

async function begin(cwd: string, remote = true, open = false): Promise<Running> {
  // After what the test before did to the connection.
  if (remote) await scene.world.rch(['workers', 'probe', 'worker1']);
  const child = scene.world.spawn(['make'], {
    cwd,
    detached: true,
    shims: remote,
    env: { RCH_FORCE_REMOTE: '1' },
  });
  const end = ended(child);
  child.stdin?.on('error', () => undefined);
  if (!open) child.stdin?.end();
  const { stdout, pid } = child;
  if (stdout === null || pid === undefined) throw new Error('make did not start');
  groups.add(pid);
  let bytes = 0;
  stdout.on('data', (chunk: Buffer) => (bytes += chunk.length));
  const heard = async (wanted: number): Promise<void> => {
    while (bytes < wanted) await within(once(stdout, 'data'), `byte ${wanted} of the output`);
  };
  await heard('begun\n'.length);
  if (remote) expect(await scene.last()).toMatchObject({ decision: 'remote' });
  return { pid, end, input: child.stdin, heard };
}

/** What a build that was ended leaves; the build after it is right. */
async function nextIsRight(folder: string): Promise<void> {
  expect(readdirSync(folder).filter((name) => name.includes('rch-'))).toEqual([]);
  rmSync(join(folder, 'slow'));
  await scene.buildsThere(folder);
  expect(await scene.says(join(folder, 'x'))).toBe('42');
}

/** Whether the job's wait has begun: a signal before that may be lost between make, its shell and a fork. */
async function sleeps(remote: boolean): Promise<boolean> {
  if (remote) return scene.runsThere(sleeper);
  const list = execFileSync('ps', ['-eo', 'pgid,args'], { encoding: 'utf8' });
  return list
    .split('\n')
    .some((line) => groups.has(Number.parseInt(line, 10)) && line.endsWith(sleeper));
}

const goneThere = (): Promise<void> =>
  until(async () => !(await scene.runsThere(sleeper)), 'were all processes of the job gone');

describe.skipIf(noFleet !== undefined)('a build that is interrupted', () => {
  beforeAll(async () => {
    scene = await Scene.set('cut', async (worker) => {
      relay = await Relay.open(worker);
      return { host: '127.0.0.1', port: relay.port };
    });
    await scene.buildsThere(scene.project('warm'));
  }, 900_000);
  afterAll(async () => {
    await scene.leave();
    await relay?.close();
  });
  afterEach(async () => {
    for (const group of groups)
      try {
        process.kill(-group, 'SIGKILL');
      } catch {
        // It ended, as it should.
      }
    groups.clear();
    await order({
      ...{ delay: 0, rate: 0, frozen: false, refuse: false },
      ...{ cutAfter: 0, cutAfterSent: 0 },
    });
  });

  function order(what: Readonly<Record<string, number | boolean>>): ReturnType<Relay['command']> {
    if (relay === undefined) throw new Error('there is no relay');
    return relay.command(what);
  }

  it('leaves nothing on the worker when the shim is killed', async () => {
    const folder = scene.project('killed', slow);
    const build = await begin(folder);
    await until(() => sleeps(true), 'did make wait for its child');
    process.kill(build.pid, 'SIGKILL');
    expect((await within(build.end)).signal).toBe('SIGKILL');
    await goneThere();
    await nextIsRight(folder);
  });

  it('ends on the worker what was killed here while the connection was away', async () => {
    const folder = scene.project('killed-away', slow);
    const build = await begin(folder);
    await until(() => sleeps(true), 'did make wait for its child');
    await order({ cut: true, refuse: true });
    process.kill(build.pid, 'SIGKILL');
    await within(build.end);
    await until(async () => {
      const reply = JSON.parse(await scene.world.rch(['jobs', '--json'])) as JobsReply;
      return reply.running.length === 0;
    }, 'was the job over here');
    expect(await sleeps(true)).toBe(true);
    await order({ refuse: false });
    await scene.world.rch(['workers', 'probe', 'worker1']);
    await goneThere();
    await nextIsRight(folder);
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'ends by %s as make does here',
    async (signal) => {
      const ends: Ended[] = [];
      for (const remote of [false, true]) {
        const folder = scene.project(`signal-${signal}-${String(remote)}`, slow);
        const build = await begin(folder, remote);
        await until(() => sleeps(remote), 'did make wait for its child');
        process.kill(-build.pid, signal);
        ends.push(await within(build.end));
        if (remote) await nextIsRight(folder);
      }
      await goneThere();
      const [here, there] = ends;
      // make itself exits with 2 instead, one time in ten, when it hears of its child's end first.
      for (const end of [here, there])
        expect<unknown[]>([signal, '2']).toContain(end?.signal ?? `${end?.code ?? ''}`);
      expect(there?.stdout.toString()).toBe(here?.stdout.toString());
    },
  );

  it('brings every byte once though the connection is cut again and again', async () => {
    const lines = 3000;
    const folder = scene.project('output', {
      Makefile: `all:\n\t@echo begun; while read -r word; do i=0; while [ $$i -lt ${lines} ]; do i=$$((i+1)); echo "$$word: line $$i of output"; done; done; echo done > all\n`,
    });
    const build = await begin(folder, true, true);
    let expected = 'begun\n';
    for (const word of ['one', 'two', 'three', 'four', 'five']) {
      const before = expected.length;
      build.input?.write(`${word}\n`);
      for (let at = 1; at <= lines; at++) expected += `${word}: line ${at} of output\n`;
      // As soon as some of it has come through.
      await build.heard(before + 1);
      await order({ cut: true });
      await build.heard(expected.length);
    }
    build.input?.end();
    const end = await within(build.end);
    expect(end.stderr.toString()).toBe('');
    expect(end.stdout.toString() === expected, `${end.stdout.length} bytes`).toBe(true);
    expect(end.code).toBe(0);
    expect(readFileSync(join(folder, 'all'), 'utf8')).toBe('done\n');
    expect(await scene.last()).toMatchObject({ decision: 'remote', exit: 0 });
  });

  it('waits while the network stands still', async () => {
    const folder = scene.project('frozen', {
      ...slow,
      Makefile: 'x: x.c\n\t@echo begun; sleep 2; echo later\n\tcc x.c -o x\n',
    });
    const build = await begin(folder);
    await order({ frozen: true });
    await new Promise((resolve) => {
      setTimeout(resolve, 4000);
    });
    await order({ frozen: false });
    const end = await within(build.end);
    expect(end.stdout.toString()).toBe('begun\nlater\ncc x.c -o x\n');
    expect(end.code).toBe(0);
    expect(await scene.says(join(folder, 'x'))).toBe('42');
  });

  it('goes on with a first upload where it stopped', async () => {
    const bytes = 60_000_000;
    const folder = scene.project('upload', tiny);
    // One file: the cut comes in the middle of it.
    execFileSync('sh', ['-c', `head -c ${bytes} /dev/urandom > large`], { cwd: folder });
    await scene.world.rch(['workers', 'probe', 'worker1']);
    // After most of it, and nobody comes through until it was built here.
    await order({ cutAfterSent: bytes * 0.7, refuse: true });
    const { ended: end } = await scene.build(folder);
    expect(end.code, words(end)).toBe(0);
    expect((await order({ refuse: false })).cutAfterSent).toBe(0);
    await until(
      () =>
        scene.world.rch(['workers', 'probe', 'worker1']).then(
          () => true,
          () => false,
        ),
      'was the worker connected again',
    );
    // The probe measures the way, which costs bytes too.
    const { sent } = await order({});
    writeFileSync(join(folder, 'x.c'), `${tiny['x.c'] ?? ''}\n`);
    await scene.buildsThere(folder);
    const after = await order({});
    // What was in the relay's and the kernel's buffers is sent again.
    expect(after.sent - sent).toBeLessThan(bytes * 0.3 + 12_000_000);
  });

  it('brings a result back whole though the return is cut', async () => {
    const bytes = 40_000_000;
    const folder = scene.project('return', {
      Makefile: `big:\n\thead -c ${bytes} /dev/urandom > big\n\tsha256sum < big > sum\n`,
    });
    await order({ rate: 20_000_000, cutAfter: 15_000_000 });
    const { ended: end, row } = await scene.build(folder);
    expect(row, row.reason).toMatchObject({ decision: 'remote' });
    expect(end.code, words(end)).toBe(0);
    const sum = createHash('sha256')
      .update(readFileSync(join(folder, 'big')))
      .digest('hex');
    expect(readFileSync(join(folder, 'sum'), 'utf8')).toBe(`${sum}  -\n`);
    expect(readdirSync(folder).sort()).toEqual(['Makefile', 'big', 'sum']);
  });

  it('brings of a large file that was made before only what differs, over a slow way', async () => {
    const bytes = 24_000_000;
    const patch = 'dd if=/dev/urandom of=big bs=1000 count=1 seek=5000 conv=notrunc status=none';
    const folder = scene.project('differing', {
      Makefile: `sum: change\n\t[ -e big ] && ${patch} || head -c ${bytes} /dev/urandom > big\n\tsha256sum < big > sum\n`,
      change: '',
    });
    const right = async (): Promise<number> => {
      const { ended: end, row } = await scene.build(folder);
      expect(end.code, words(end)).toBe(0);
      expect(row, row.reason).toMatchObject({ decision: 'remote' });
      const sum = createHash('sha256')
        .update(readFileSync(join(folder, 'big')))
        .digest('hex');
      expect(readFileSync(join(folder, 'sum'), 'utf8')).toBe(`${sum}  -\n`);
      return row.bytes.received;
    };
    expect(await right()).toBeGreaterThan(bytes);
    await order({ rate: 10_000_000 });
    // How fast the way is shows by what goes there.
    writeFileSync(join(folder, 'change'), randomBytes(20_000_000));
    expect(await right()).toBeLessThan(bytes / 10);
  });

  it.each(['once', 'and again at once'])(
    'ends by a signal also while its worker hears nothing: %s',
    async (how) => {
      const folder = scene.project(`deaf-${how.length}`, slow);
      const build = await begin(folder);
      await order({ frozen: true });
      process.kill(-build.pid, 'SIGINT');
      if (how !== 'once') {
        // Half of the time that the worker has to take the first one.
        await new Promise((resolve) => {
          setTimeout(resolve, 2500);
        });
        process.kill(-build.pid, 'SIGTERM');
      }
      const end = await within(build.end, 'ending');
      await order({ frozen: false });
      // Which of them was obeyed shows that the second one was, before it was the first one's time.
      const obeyed = how === 'once' ? 'SIGINT' : 'SIGTERM';
      expect([end.code, end.signal], words(end)).toEqual([null, obeyed]);
      expect(existsSync(join(folder, 'x'))).toBe(false);
      const [row] = await scene.world.history(1);
      expect(row).toMatchObject({ decision: 'remote', signal: constants.signals[obeyed] });
      expect(row?.reason).toContain('could not be reached');
      await goneThere();
    },
  );

  it('gives up a job, with 102 and no file touched, when its worker does not come back', async () => {
    scene.world.writeConfig('config.toml', '[execution]\nresume_timeout_sec = 3\n');
    // The link is made anew with it.
    await scene.world.rch(['workers', 'probe', 'worker1']);
    const folder = scene.project('unplugged', slow);
    const build = await begin(folder);
    await scene.fleet.unplug(0);
    await order({ cut: true, refuse: true });
    const end = await within(build.end, 'giving up');
    expect(end.code, words(end)).toBe(102);
    expect(end.stderr.toString()).toMatch(/rch: .*worker1/);
    expect(existsSync(join(folder, 'x'))).toBe(false);
    expect(readdirSync(folder).sort()).toEqual(['Makefile', 'slow', 'x.c']);
    rmSync(join(folder, 'slow'));
    // Without its worker the next build is here, and right.
    const { ended: next, row } = await scene.build(folder);
    expect(next.code, words(next)).toBe(0);
    expect(row.decision).toBe('local');
    expect(await scene.says(join(folder, 'x'))).toBe('42');
  });
});
