/** Links, agents and whole daemons that die while a build runs: it goes on, each byte once, or ends as it should. */
import { execFileSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { layoutFor } from '../../src/base/layout.ts';
import { DaemonClient } from '../../src/client/daemon-client.ts';
import type { JobsReply } from '../../src/protocol/methods.ts';
import { noFleet } from '../rig/fleet.ts';
import { ended, type Ended } from '../rig/world.ts';
import { write, type Files } from './projects.ts';
import { Scene, until, within, words } from './trouble.ts';

let scene: Scene;

/** For each line of standard input: which it was, then many numbered lines. What it reads and writes is all there is. */
const LINES = 300;
const echo: Files = {
  Makefile: `all:
\t@while read -r word; do i=0; while [ $$i -lt ${LINES} ]; do i=$$((i+1)); echo "$$word $$i of ${LINES}"; done; done; echo over; echo ran >> runs
`,
};
const answerTo = (word: string): string =>
  Array.from({ length: LINES }, (_, at) => `${word} ${at + 1} of ${LINES}\n`).join('');

/** A build whose input comes word by word, and whose output is waited for. */
class Talking {
  readonly end: Promise<Ended>;
  readonly #child: ReturnType<Scene['world']['spawn']>;
  #seen = '';
  #said = '';
  #wake: () => void = () => undefined;

  constructor(folder: string) {
    const child = scene.world.spawn(['make'], { cwd: folder, env: { RCH_FORCE_REMOTE: '1' } });
    this.#child = child;
    this.end = ended(child);
    child.stdin?.on('error', () => undefined);
    child.stdout?.on('data', (chunk: Buffer) => {
      this.#seen += chunk.toString();
      this.#wake();
    });
    void this.end.then(() => {
      this.#wake();
    });
  }

  say(word: string): void {
    this.#said += answerTo(word);
    this.#child.stdin?.write(`${word}\n`);
  }

  /** Until so many bytes of the answers have come. */
  async heard(bytes = this.#said.length): Promise<void> {
    const hear = async (): Promise<void> => {
      while (this.#seen.length < bytes) {
        if (this.#child.exitCode !== null) throw new Error(`it ended: ${words(await this.end)}`);
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    };
    await within(hear(), 'the answer');
  }

  /** Nobody waits for it any more. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Its launcher stands still, or goes on. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(name);
  }

  get saidBytes(): number {
    return this.#said.length;
  }

  async over(): Promise<void> {
    this.#child.stdin?.end();
    const end = await within(this.end);
    expect(end.stderr.toString()).toBe('');
    expect(end.stdout.toString() === `${this.#said}over\n`, 'the output, byte for byte').toBe(true);
    expect(end.code).toBe(0);
  }
}

async function daemonPid(): Promise<number> {
  const status = await scene.world.rch(['daemon', 'status', '--json']);
  return (JSON.parse(status) as { pid: number }).pid;
}

/** The link processes of a daemon. */
function linksOf(daemon: number): number[] {
  const children = readFileSync(`/proc/${daemon}/task/${daemon}/children`, 'utf8');
  return children.trim().split(' ').filter(Boolean).map(Number);
}

/** The link of the daemon that runs, other than `before`. */
async function linkPid(before = 0): Promise<number> {
  const daemon = await daemonPid();
  const found: { pid?: number } = {};
  await until(() => {
    const pid = linksOf(daemon).find((each) => each !== before);
    if (pid !== undefined) found.pid = pid;
    return Promise.resolve(pid !== undefined);
  }, 'was there a link');
  return found.pid ?? 0;
}

/** A build of lines that has begun, and has answered once. */
async function talking(name: string): Promise<{ folder: string; build: Talking }> {
  const folder = scene.project(name, echo);
  const build = new Talking(folder);
  // A test that is tried again finds its folder free.
  onTestFinished(() => {
    build.kill();
  });
  build.say('first');
  await build.heard();
  return { folder, build };
}

/** The daemon has read that it has no workers. */
async function workerGone(): Promise<void> {
  await until(async () => (await scene.world.workers()).length === 0, 'was the worker gone');
}

async function jobs(): Promise<JobsReply> {
  return JSON.parse(await scene.world.rch(['jobs', '--json'])) as JobsReply;
}

/** Settles when the one job that runs is in a phase that begins so. */
async function inPhase(name: string): Promise<void> {
  const { env, data } = scene.world;
  const client = await DaemonClient.connect(layoutFor(env, data));
  if (!client.ok) throw new Error(client.failure.reason);
  const look = async (): Promise<void> => {
    for (;;) {
      const reply = await client.value.call('jobs', {});
      if (!reply.ok) throw new Error(reply.failure.reason);
      if (reply.value.running.some(({ phase }) => phase.startsWith(name))) return;
    }
  };
  await within(look(), name).finally(() => {
    client.value.close();
  });
}

/** Pseudo-random numbers below 1, the same for a seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

async function ranOnce(folder: string): Promise<void> {
  expect(readFileSync(join(folder, 'runs'), 'utf8')).toBe('ran\n');
  expect(await scene.last()).toMatchObject({ decision: 'remote', worker: 'worker1', exit: 0 });
  expect((await jobs()).running).toEqual([]);
}

describe.skipIf(noFleet !== undefined)('a build whose helpers die', () => {
  beforeAll(async () => {
    scene = await Scene.set('resume');
    await scene.buildsThere(scene.project('warm'));
  }, 900_000);
  afterAll(async () => {
    await scene.leave();
  });

  it('goes on byte for byte, both ways, when its link is killed at any moment, also twice in a row', async () => {
    const seed = Number(process.env['RCH_TEST_SEED'] ?? 20_261);
    const chance = random(seed);
    const { folder, build } = await talking('link-killed');
    let link = 0;
    for (const word of ['one', 'two']) {
      const before = build.saidBytes;
      build.say(word);
      // Somewhere in the middle of the answer.
      await build.heard(before + Math.floor(chance() * (build.saidBytes - before)));
      link = await linkPid(link);
      process.kill(link, 'SIGKILL');
      if (word === 'two') {
        link = await linkPid(link);
        process.kill(link, 'SIGKILL');
      }
      build.say(`${word} more`);
    }
    await build.heard().catch((thrown: unknown) => {
      throw new Error(`seed ${seed}: ${String(thrown)}`);
    });
    await build.over();
    await ranOnce(folder);
  });

  it('goes on when the whole daemon is killed, and when it is restarted', async () => {
    const { folder, build } = await talking('daemon-killed');
    process.kill(await daemonPid(), 'SIGKILL');
    build.say('during');
    await build.heard();
    // The daemon that was started instead learns of it from the files of the link that died.
    await until(
      async () => (await jobs()).running.some(({ cwd }) => cwd === folder),
      'was it known',
    );
    const before = await daemonPid();
    build.say('before');
    await scene.world.rch(['daemon', 'restart']);
    build.say('after');
    await build.heard();
    expect(await daemonPid()).not.toBe(before);
    await build.over();
    await ranOnce(folder);
  });

  it('goes on when the settings of its worker change, and when the worker is taken out of use', async () => {
    const { folder, build } = await talking('settings');
    const workers = scene.fleet.workersToml();
    const link = await linkPid();
    scene.world.writeConfig('workers.toml', `${workers}total_slots = 3\n`);
    build.say('while');
    expect(await linkPid(link)).not.toBe(link);
    await build.heard();
    scene.world.writeConfig('workers.toml', '');
    await workerGone();
    build.say('after');
    await build.heard();
    await build.over();
    await ranOnce(folder);
    scene.world.writeConfig('workers.toml', workers);
    await within(scene.world.rch(['workers', 'probe', 'worker1']));
  });

  it('goes on when its worker is taken out of use while its launcher is off the line, and when that link dies', async () => {
    const { folder, build } = await talking('retired');
    const workers = scene.fleet.workersToml();
    const link = await linkPid();
    build.signal('SIGSTOP');
    scene.world.writeConfig('workers.toml', `${workers}total_slots = 3\n`);
    const last = await linkPid(link);
    scene.world.writeConfig('workers.toml', '');
    await workerGone();
    build.signal('SIGCONT');
    build.say('back');
    await build.heard();
    process.kill(last, 'SIGKILL');
    build.say('after its end');
    await build.heard();
    await build.over();
    await ranOnce(folder);
    scene.world.writeConfig('workers.toml', workers);
    await within(scene.world.rch(['workers', 'probe', 'worker1']));
  });

  it('goes on when its worker is changed and taken out of use at once, and the worker builds while it goes on when it is put back', async () => {
    const { folder, build } = await talking('put-back');
    const workers = scene.fleet.workersToml();
    scene.world.writeConfig('workers.toml', `${workers}total_slots = 3\n`);
    await scene.world.workers();
    scene.world.writeConfig('workers.toml', '');
    await workerGone();
    build.say('out');
    await build.heard();
    scene.world.writeConfig('workers.toml', workers);
    await within(scene.world.rch(['workers', 'probe', 'worker1']));
    await scene.buildsThere(scene.project('beside'));
    build.say('back');
    await build.heard();
    // Away and back and away again, each before the one before is over.
    for (const text of ['', workers, '', workers, '']) {
      scene.world.writeConfig('workers.toml', text);
      await new Promise((resolve) => setTimeout(resolve, 40));
      await scene.world.workers();
    }
    await workerGone();
    build.say('away');
    await build.heard();
    await build.over();
    expect(readFileSync(join(folder, 'runs'), 'utf8')).toBe('ran\n');
    scene.world.writeConfig('workers.toml', workers);
    await within(scene.world.rch(['workers', 'probe', 'worker1']));
  });

  it('goes on when the daemon ends while its worker is out of use, is elsewhere, or cannot be read', async () => {
    const { folder, build } = await talking('left');
    const workers = scene.fleet.workersToml();
    const elsewhere = scene.fleet.workersToml(() => ({ host: '127.0.0.1', port: 1 }));
    const goesOn = async (word: string): Promise<void> => {
      build.say(word);
      await build.heard();
    };
    scene.world.writeConfig('workers.toml', '');
    await workerGone();
    await scene.world.rch(['daemon', 'restart']);
    await goesOn('restarted');
    process.kill(await daemonPid(), 'SIGKILL');
    await goesOn('killed');
    scene.world.writeConfig('workers.toml', '[[workers]\n');
    await scene.world.rch(['daemon', 'restart']);
    await goesOn('unread');
    scene.world.writeConfig('workers.toml', workers);
    await within(scene.world.rch(['workers', 'probe', 'worker1']));
    await goesOn('back');
    scene.world.writeConfig('workers.toml', elsewhere);
    await scene.world.rch(['daemon', 'restart']);
    await goesOn('elsewhere');
    await build.over();
    expect(readFileSync(join(folder, 'runs'), 'utf8')).toBe('ran\n');
    scene.world.writeConfig('workers.toml', workers);
    await within(scene.world.rch(['workers', 'probe', 'worker1']));
    await scene.buildsThere(scene.project('after-left'));
  });

  it('goes on when rch is upgraded under it, and builds after it have the new agent', async () => {
    const agents = async (): Promise<string[]> => {
      const list = await scene.fleet.inside(scene.worker, 'ps', '-eo', 'args');
      return [...list.matchAll(/agents\/(\w+)\/rch-wkr\.mjs serve/g)].map(([, hash = '']) => hash);
    };
    const before = await agents();
    expect(before).toHaveLength(1);
    const { folder, build } = await talking('upgraded');
    appendFileSync(join(scene.world.data, 'lib', 'rch-wkr.mjs'), '\n// Another version.\n');
    await scene.world.rch(['daemon', 'restart']);
    build.say('after');
    await build.heard();
    // The new one looks whether it is needed, and goes.
    await until(
      async () => (await agents()).join() === before.join(),
      'was the agent of before the only one',
    );
    await build.over();
    await ranOnce(folder);
    await until(async () => {
      const now = await agents();
      return now.length === 1 && now[0] !== before[0];
    }, 'was the agent replaced');
    await within(scene.world.rch(['workers', 'probe', 'worker1']));
    await scene.buildsThere(scene.project('after-upgrade'));
  });

  it('runs once, and here, when its link is killed while it prepares', async () => {
    const folder = scene.project('preparing', {
      Makefile: 'all:\n\t@echo made; echo ran >> runs\n',
    });
    execFileSync('sh', ['-c', 'head -c 100000000 /dev/urandom > noise'], { cwd: folder });
    const link = await linkPid();
    const build = scene.build(folder);
    await inPhase('sending');
    process.kill(link, 'SIGKILL');
    const { ended: end } = await build;
    expect(end.stdout.toString()).toBe('made\n');
    expect(end.code, words(end)).toBe(0);
    expect(readFileSync(join(folder, 'runs'), 'utf8')).toBe('ran\n');
    await until(async () => (await scene.last()).decision === 'local', 'was it recorded');
  });

  it('starts no more builds here at once than there is room for when the link of many is killed', async () => {
    const { world } = scene;
    // Each is held before its transfer, for as long as its link lives.
    const held = "[hooks]\npre_transfer = 'while kill -0 $PPID; do sleep 0.1; done'\n";
    world.writeConfig('config.toml', `${held}[local]\nmax_cores = 1\n`);
    const small = await linkPid();
    world.writeConfig('workers.toml', `${scene.fleet.workersToml()}total_slots = 8\n`);
    const link = await linkPid(small);
    const log = join(scene.base, 'storm.log');
    const builds = Array.from({ length: 6 }, (_, at) =>
      world.run(['make'], {
        cwd: scene.project(`storm${at}`, {
          Makefile: `all:\n\t@echo begun >> ${log}; sleep 0.3; echo ended >> ${log}; echo ran >> runs\n`,
        }),
        env: { RCH_FORCE_REMOTE: '1' },
      }),
    );
    await until(async () => (await jobs()).running.length === builds.length, 'were all sent');
    process.kill(link, 'SIGKILL');
    for (const end of await within(Promise.all(builds))) expect(end.code, words(end)).toBe(0);
    expect(readFileSync(log, 'utf8')).toBe('begun\nended\n'.repeat(builds.length));
    for (let at = 0; at < builds.length; at++)
      expect(readFileSync(join(scene.base, `storm${at}`, 'runs'), 'utf8')).toBe('ran\n');
    const rows = await world.history(builds.length);
    expect(rows.map(({ decision }) => decision)).toEqual(builds.map(() => 'local'));
    world.writeConfig('config.toml', '');
    world.writeConfig('workers.toml', scene.fleet.workersToml());
    await within(world.rch(['workers', 'probe', 'worker1']));
  });

  it('brings the result whole when its link is killed while it returns', async () => {
    const folder = scene.project('returning', {
      Makefile:
        'all:\n\t@mkdir -p parts; for i in 1 2 3 4 5 6 7 8; do head -c 12000000 /dev/urandom > parts/$$i; done; sha256sum parts/* > sums; echo ran >> runs\n',
    });
    const build = scene.build(folder);
    await inPhase('returning');
    process.kill(await linkPid(), 'SIGKILL');
    const { ended: end, row } = await build;
    expect(end.code, words(end)).toBe(0);
    expect(end.stderr.toString()).toBe('');
    expect(row).toMatchObject({ decision: 'remote', exit: 0 });
    const sums = readFileSync(join(folder, 'sums'), 'utf8').trimEnd().split('\n');
    expect(sums).toHaveLength(8);
    for (const line of sums) {
      const [sum, name] = line.split(/\s+/);
      const content = readFileSync(join(folder, name ?? ''));
      expect(createHash('sha256').update(content).digest('hex')).toBe(sum);
    }
    expect(readdirSync(folder).sort()).toEqual(['Makefile', 'parts', 'runs', 'sums']);
    await ranOnce(folder);
  });

  it('makes what is newer than an edit right before it, when its link is killed while it runs', async () => {
    const folder = scene.project('edited-before', {
      Makefile: 'x: a\n\t@read -r word; cp a x\n',
      a: '0',
    });
    // Nothing is between this and the look at the tree.
    const hook = `[hooks]\npre_transfer = 'echo edited > ${join(folder, 'a')}'\n`;
    scene.world.writeConfig('config.toml', hook);
    for (let round = 1; round <= 3; round++) {
      rmSync(join(folder, 'x'), { force: true });
      const link = await linkPid();
      const child = scene.world.spawn(['make'], { cwd: folder, env: { RCH_FORCE_REMOTE: '1' } });
      const end = ended(child);
      await inPhase('running');
      process.kill(link, 'SIGKILL');
      child.stdin?.end('go\n');
      const { code, stderr } = await within(end);
      expect(code, stderr.toString()).toBe(0);
      expect(await scene.last()).toMatchObject({ decision: 'remote', exit: 0 });
      expect(readFileSync(join(folder, 'x'), 'utf8')).toBe('edited\n');
      const older = statSync(join(folder, 'a')).mtimeMs - statSync(join(folder, 'x')).mtimeMs;
      expect(older, `round ${round}`).toBeLessThanOrEqual(0);
    }
    scene.world.writeConfig('config.toml', '');
  });

  it('takes what cargo makes anew over what stood here, when its link is killed in the first build there', async () => {
    const folder = scene.project(`cold-${randomUUID()}`, {
      'Cargo.toml': '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n',
      'Cargo.lock': 'version = 4\n\n[[package]]\nname = "app"\nversion = "0.1.0"\n',
      'src/lib.rs': '',
    });
    const test = ['cargo', 'test', '--lib'];
    const before = await scene.world.run(test, { cwd: folder, shims: false });
    expect(before.code, words(before)).toBe(0);
    write(folder, {
      'src/lib.rs':
        '#[test]\nfn reads() {\n  std::io::stdin().read_line(&mut String::new()).unwrap();\n}\n',
    });
    // The toolchain goes over before, however long that takes.
    const other = scene.project(`other-${randomUUID()}`, { 'x.rs': '' });
    const env = { RCH_FORCE_REMOTE: '1' };
    const first = ['rustc', '--crate-type=lib', 'x.rs'];
    await within(scene.world.run(first, { cwd: other, env }), 'the first use', 240_000);
    const link = await linkPid();
    const child = scene.world.spawn(test, { cwd: folder, env });
    const end = ended(child);
    await inPhase('running');
    process.kill(link, 'SIGKILL');
    child.stdin?.end('go\n');
    const done = await within(end, 'the test', 120_000);
    expect(done.code, words(done)).toBe(0);
    expect(await scene.last()).toMatchObject({ decision: 'remote', exit: 0, conflicts: [] });
    const after = await scene.world.run([...test, '--no-run'], { cwd: folder, shims: false });
    expect(words(after)).not.toContain('Compiling');
  }, 360_000);

  it('ends with 102 and nothing left there when the agent is killed, and the next build is right', async () => {
    const folder = scene.project('agent-killed', {
      Makefile:
        'x:\n\t@read a; if [ "$$a" = wait ]; then echo begun; sleep 7654321; fi; echo $$a > x\n',
    });
    const child = scene.world.spawn(['make'], { cwd: folder, env: { RCH_FORCE_REMOTE: '1' } });
    const end = ended(child);
    child.stdin?.write('wait\n');
    if (child.stdout === null) throw new Error('no output');
    await within(once(child.stdout, 'data'), 'the beginning');
    const uid = String(scene.worker.uid);
    await scene.fleet.inside(scene.worker, 'pkill', '-KILL', '-u', uid, '-f', 'rch-wkr.mjs serve');
    const { code, stderr } = await within(end);
    expect(code).toBe(102);
    expect(stderr.toString()).toMatch(/rch: the run on worker1 was lost/);
    await until(async () => !(await scene.runsThere('sleep 7654321')), 'were its processes gone');
    expect(await scene.last()).toMatchObject({ decision: 'remote', exit: null });
    const next = await within(
      scene.world.run(['make'], { cwd: folder, env: { RCH_FORCE_REMOTE: '1' }, input: 'go\n' }),
    );
    expect(next.code, words(next)).toBe(0);
    expect(readFileSync(join(folder, 'x'), 'utf8')).toBe('go\n');
  });

  it('is ended there when its launcher died with the whole daemon', async () => {
    const folder = scene.project('all-killed', {
      Makefile: 'x:\n\t@[ ! -e slow ] || { echo begun; sleep 7654322; }; echo x > x\n',
      slow: '',
    });
    const child = scene.world.spawn(['make'], { cwd: folder, env: { RCH_FORCE_REMOTE: '1' } });
    const end = ended(child);
    if (child.stdout === null || child.pid === undefined) throw new Error('make did not start');
    await within(once(child.stdout, 'data'), 'the beginning');
    const daemon = await daemonPid();
    const links = linksOf(daemon);
    for (const pid of [daemon, ...links, child.pid]) process.kill(pid, 'SIGKILL');
    await within(end);
    await until(() => scene.runsThere('sleep 7654322'), 'did the tool go on');
    await scene.world.start();
    await within(scene.world.rch(['workers', 'probe', 'worker1']));
    await until(async () => !(await scene.runsThere('sleep 7654322')), 'was the tool gone');
    rmSync(join(folder, 'slow'));
    await scene.buildsThere(folder);
    expect((await jobs()).running).toEqual([]);
  });

  it('ends with 102 and says so when the user stops the daemon and its time is over', async () => {
    scene.world.writeConfig('config.toml', '[daemon]\ndrain_timeout_sec = 1\n');
    const { build } = await talking('stopped');
    await scene.world.rch(['daemon', 'stop']);
    const end = await within(build.end);
    expect(end.code).toBe(102);
    expect(end.stderr.toString()).toBe(
      'rch: the run on worker1 was lost: the daemon was stopped\n',
    );
    scene.world.writeConfig('config.toml', '');
    await scene.world.start();
    expect(await scene.last()).toMatchObject({ decision: 'remote', exit: null });
  });

  it('brings a file under all of its names when it is fetched after the disk was full', async () => {
    const folder = join(scene.base, 'names');
    mkdirSync(folder);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3000000', 'tmpfs', folder]);
    try {
      write(folder, {
        Makefile:
          'all:\n\t@mkdir -p out; cat seed > out/one; ln -f out/one out/two; head -c $(SIZE) /dev/zero | tr "\\0" x > out/big; cp seed out/zz\n',
        seed: 'old\n',
      });
      expect((await scene.build(folder, ['make', 'SIZE=1000'])).ended.code).toBe(0);
      writeFileSync(join(folder, 'seed'), 'new\n');
      const { ended: end } = await scene.build(folder, ['make', 'SIZE=4000000']);
      expect(end.code, words(end)).toBe(102);
      const [, id = ''] = /rch jobs fetch ([0-9a-f]{8})\n/.exec(end.stderr.toString()) ?? [];
      execFileSync('mount', ['-o', 'remount,size=90000000', folder]);
      await within(scene.world.rch(['jobs', 'fetch', id]));
      for (const name of ['one', 'two', 'zz'])
        expect(readFileSync(join(folder, 'out', name), 'utf8'), name).toBe('new\n');
      expect(statSync(join(folder, 'out/one')).ino).toBe(statSync(join(folder, 'out/two')).ino);
      expect(readdirSync(join(folder, 'out')).sort()).toEqual(['big', 'one', 'two', 'zz']);
    } finally {
      execFileSync('umount', ['-l', folder]);
    }
  });

  it('keeps results that cannot come back, and brings them when they are fetched', async () => {
    const folder = join(scene.base, 'kept');
    mkdirSync(folder);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6000000', 'tmpfs', folder]);
    try {
      write(folder, {
        Makefile: 'big: \n\t@head -c 20000000 /dev/urandom > big; sha256sum big > sum\n',
      });
      const { ended: end } = await scene.build(folder, ['make', 'big']);
      expect(end.code, words(end)).toBe(102);
      const [, id] = /its results stay on worker1: rch jobs fetch ([0-9a-f]{8})\n/.exec(
        end.stderr.toString(),
      ) ?? ['', ''];
      expect((await jobs()).kept).toMatchObject([{ worker: 'worker1', cwd: folder }]);
      await expect(scene.world.rch(['jobs', 'fetch', id])).rejects.toThrow(/space/i);
      // Another daemon knows of them too, and they outlive other builds in the same folder.
      await scene.world.rch(['daemon', 'restart']);
      writeFileSync(join(folder, 'note'), 'mine\n');
      execFileSync('mount', ['-o', 'remount,size=90000000', folder]);
      await within(scene.world.rch(['workers', 'probe', 'worker1']));
      const said = await within(scene.world.rch(['jobs', 'fetch', id]));
      expect(said).toMatch(/^fetched \d+ changes of [0-9a-f]{8} from worker1\n$/);
      execFileSync('sh', ['-c', 'sha256sum -c --quiet sum'], { cwd: folder });
      expect(readdirSync(folder).sort()).toEqual(['Makefile', 'big', 'note', 'sum']);
      expect((await jobs()).kept).toEqual([]);
      await expect(scene.world.rch(['jobs', 'fetch', id])).rejects.toThrow(/no results/);
    } finally {
      execFileSync('umount', ['-l', folder]);
    }
  });

  it('does not name results that the worker has no more', async () => {
    const folder = join(scene.base, 'given-up');
    mkdirSync(folder);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3000000', 'tmpfs', folder]);
    try {
      write(folder, {
        Makefile:
          'small:\n\t@echo > small\nbig:\n\t@head -c 4000000 /dev/zero | tr "\\0" x > big\n',
      });
      const kept = async (): Promise<string[]> => (await jobs()).kept.map(({ cwd }) => cwd);
      await scene.buildsThere(folder, ['make', 'small']);
      const { ended: end } = await scene.build(folder, ['make', 'big']);
      expect(end.code, words(end)).toBe(102);
      expect(await kept()).toEqual([folder]);
      await within(scene.world.rch(['gc', '--worker', 'worker1', '--to-mb', '0']));
      expect(await kept()).toEqual([]);
    } finally {
      execFileSync('umount', ['-l', folder]);
      rmSync(folder, { recursive: true });
    }
  });
});
