/** Several callers of one command at once: it runs once on the worker, and each gets all of it. */
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { layoutFor } from '../../src/base/layout.ts';
import { DaemonClient } from '../../src/client/daemon-client.ts';
import { Gate, toolText, type Tool } from '../rig/gate.ts';
import { ended, World, type Ended, type HistoryRow } from '../rig/world.ts';
import { write, type Files } from './projects.ts';
import { until, within, words } from './trouble.ts';

let world: World;
let gate: Gate;
let base: string;

/** Bytes that are no text, in two streams, a failure, and a line in `runs` for each time it ran. */
function makes(end = 'exit 3'): Files {
  return {
    'tool.py': toolText,
    'x.c': 'int main(void) { return 0; }\n',
    Makefile: `all: x
\t@/usr/bin/python3 tool.py ${gate.port}
\t@printf 'a\\377b\\000c' ; printf 'err\\n' >&2
\t@${end}
x: x.c
\t@echo ran >> runs
\tcc x.c -o x
`,
  };
}

function project(files: Files): string {
  const folder = mkdtempSync(join(base, 'p'));
  mkdirSync(folder, { recursive: true });
  write(folder, files);
  return folder;
}

/** One caller of a command; its standard input is /dev/null unless it is given one. */
class Call {
  readonly end: Promise<Ended>;
  readonly #child: ReturnType<World['spawn']>;

  constructor(argv: readonly string[], folder: string, more: { env?: Files; input?: string } = {}) {
    const script = `exec "$@"${more.input === undefined ? ' </dev/null' : ''}`;
    this.#child = world.spawn(['sh', '-c', script, 'sh', ...argv], {
      cwd: folder,
      env: { RCH_FORCE_REMOTE: '1', ...more.env },
    });
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stdin?.end(more.input ?? '');
    this.end = ended(this.#child);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** Settles when that many commands are in a phase that begins so. */
async function inPhase(name: string, count: number): Promise<void> {
  const client = await DaemonClient.connect(layoutFor(world.env, world.data));
  if (!client.ok) throw new Error(client.failure.reason);
  await until(async () => {
    const reply = await client.value.call('jobs', {});
    if (!reply.ok) throw new Error(reply.failure.reason);
    return reply.value.running.filter(({ phase }) => phase.startsWith(name)).length === count;
  }, `were ${count} commands ${name}`).finally(() => {
    client.value.close();
  });
}

/** Begins a command, and others that join it. */
async function together(
  begin: () => Call,
  count: number,
): Promise<{ readonly calls: readonly Call[]; readonly tool: Tool }> {
  const first = begin();
  const tool = await gate.tool();
  const others = Array.from({ length: count - 1 }, begin);
  await inPhase('joined to', count - 1);
  return { calls: [first, ...others], tool };
}

const runs = (folder: string): string => readFileSync(join(folder, 'runs'), 'utf8');

const upToDate = (folder: string): void => {
  execFileSync('make', ['-q', 'x'], { cwd: folder });
};

async function rows(count: number): Promise<HistoryRow[]> {
  return (await world.history(count)).reverse();
}

/** The first of that many commands. */
async function firstOf(count: number): Promise<HistoryRow> {
  const [first] = await rows(count);
  if (first === undefined) throw new Error('no command was written down');
  return first;
}

const same = ({ code, signal, stdout, stderr }: Ended): unknown => [
  code,
  signal,
  stdout.toString('latin1'),
  stderr.toString('latin1'),
];

describe('callers of one command at once', () => {
  beforeAll(async () => {
    world = await World.create('[[workers]]\nid = "embedded"\ntransport = "embedded"\n');
    await world.start();
    gate = await Gate.open();
    base = realpathSync(mkdtempSync(join(tmpdir(), 'rch-together-')));
  });
  afterEach(() => {
    gate.forget();
  });
  afterAll(async () => {
    await world.dispose();
    gate.close();
    rmSync(base, { recursive: true, force: true });
  });

  it('of make share one run: the same bytes, the same failure, and files that are up to date', async () => {
    const folder = project(makes());
    const { calls, tool } = await together(() => new Call(['make'], folder), 5);
    tool.begin('sys.exit()');
    const ends = await within(Promise.all(calls.map(({ end }) => end)));
    expect(ends[0]?.code, words(ends[0] as Ended)).toBe(2);
    expect(ends[0]?.stdout.toString('latin1')).toBe('cc x.c -o x\na\xffb\x00c');
    for (const end of ends) expect(same(end)).toEqual(same(ends[0] as Ended));
    expect(runs(folder)).toBe('ran\n');
    upToDate(folder);
    const [first, ...others] = await rows(5);
    for (const row of others) {
      expect(row, row.reason).toMatchObject({ worker: 'embedded', exit: 2, joined: first?.id });
      expect(row.phases['run']).toBeUndefined();
      expect(row.bytes.output).toBe(first?.bytes.output);
    }
    const why = await world.rch(['why', others[0]?.id ?? '']);
    expect(why).toContain(`joined to job ${first?.id.slice(0, 8) ?? ''}`);
    expect(await world.rch(['history'])).toContain('joined to job');
  });

  it('of cargo build share one run, one of them holding the lock of the target folder', async () => {
    const folder = project({
      'tool.py': toolText,
      'Cargo.toml': '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n',
      'Cargo.lock': 'version = 4\n\n[[package]]\nname = "app"\nversion = "0.1.0"\n',
      'src/main.rs': 'fn main() {}\n',
      'build.rs': `fn main() {
    let ended = std::process::Command::new("/usr/bin/python3").args(["tool.py", "${gate.port}"]).status();
    assert!(ended.unwrap().success());
    println!("cargo:rerun-if-changed=build.rs");
}
`,
    });
    mkdirSync(join(folder, 'target'));
    // The toolchain goes over before anybody waits for anything.
    const warm = project({
      'Cargo.toml': '[package]\nname = "warm"\nversion = "0.1.0"\nedition = "2021"\n',
      'Cargo.lock': 'version = 4\n\n[[package]]\nname = "warm"\nversion = "0.1.0"\n',
      'src/lib.rs': '',
    });
    const first = await new Call(['cargo', 'check'], warm).end;
    expect(first.code, words(first)).toBe(0);
    const { calls, tool } = await together(() => new Call(['cargo', 'build'], folder), 5);
    const [leading, ...others] = calls;
    // Looked up, not tried: whoever tries is in the way of the others.
    const { ino } = statSync(join(folder, 'target/debug/.cargo-lock'));
    const isLocked = (): boolean =>
      readFileSync('/proc/locks', 'utf8')
        .split('\n')
        .some((line) => /FLOCK.* \S+:(\d+) /.exec(line)?.[1] === String(ino));
    expect(isLocked()).toBe(true);
    leading?.kill('SIGKILL');
    await leading?.end;
    await until(() => Promise.resolve(isLocked()), 'did another take the lock');
    tool.begin('sys.exit()');
    const ends = await within(Promise.all(others.map(({ end }) => end)));
    expect(ends[0]?.code, words(ends[0] as Ended)).toBe(0);
    expect(ends[0]?.stderr.toString()).toContain('Compiling app');
    for (const end of ends) expect(same(end)).toEqual(same(ends[0] as Ended));
    for (const row of await rows(5)) expect(row).toMatchObject({ decision: 'remote', exit: 0 });
    expect(isLocked()).toBe(false);
    const again = await world.run(['cargo', 'build', '-v'], { cwd: folder, shims: false });
    expect(again.stderr.toString()).toContain('Fresh app');
  });

  it.each<[string, (folder: string) => Call]>([
    ['in another environment', (folder) => new Call(['make'], folder, { env: { SOME: 'other' } })],
    ['with other arguments', (folder) => new Call(['make', 'all', '-s'], folder)],
    ['with something on standard input', (folder) => new Call(['make'], folder, { input: 'y\n' })],
    [
      'on an edited tree',
      (folder) => {
        write(folder, { 'x.c': 'int main(void) { return 1; }\n' });
        return new Call(['make'], folder);
      },
    ],
  ])('do not share it %s', async (_, other) => {
    const folder = project(makes('true'));
    const first = new Call(['make'], folder);
    const tool = await gate.tool();
    const second = other(folder);
    await inPhase('waiting for another job', 1);
    tool.begin('sys.exit()');
    const next = await gate.tool();
    next.begin('sys.exit()');
    for (const { end } of [first, second]) {
      const { code, stdout, stderr } = await within(end);
      expect(code, `${stdout.toString()}${stderr.toString()}`).toBe(0);
    }
    for (const row of await rows(2)) expect(row).not.toHaveProperty('joined');
  });

  it('wait for another command of their project only so long, and then run here beside it', async () => {
    world.writeConfig('config.toml', '[queue]\nmax_wait_sec = 3\n');
    try {
      const rules = `long:\n\t@/usr/bin/python3 tool.py ${gate.port}\nother:\n\t@echo made\n`;
      const folder = project({ ...makes(), Makefile: rules });
      const first = new Call(['make', 'long'], folder);
      const tool = await gate.tool();
      const other = await within(new Call(['make', 'other'], folder).end);
      expect([other.code, other.stdout.toString()]).toEqual([0, 'made\n']);
      const [row] = await world.history(1);
      expect(row).toMatchObject({ decision: 'local', argv: ['make', 'other'] });
      expect(row?.reason).toMatch(/another command had \S+ on embedded for too long/);
      expect(tool.alive).toBe(true);
      tool.begin('sys.exit()');
      expect((await within(first.end)).code).toBe(0);
    } finally {
      world.writeConfig('config.toml', '');
    }
  });

  it('share it to the end when one that waits is interrupted', async () => {
    const folder = project(makes('true'));
    const { calls, tool } = await together(() => new Call(['make'], folder), 3);
    calls[1]?.kill('SIGINT');
    expect(await within(calls[1]?.end ?? Promise.reject(new Error()))).toMatchObject({
      signal: 'SIGINT',
    });
    expect(tool.alive).toBe(true);
    tool.begin('sys.exit()');
    const [first, , third] = await within(Promise.all(calls.map(({ end }) => end)));
    expect(first?.code).toBe(0);
    expect(same(third as Ended)).toEqual(same(first as Ended));
    expect(runs(folder)).toBe('ran\n');
  });

  it.each(['SIGKILL', 'SIGINT', 'SIGTERM', 'rch cancel'] as const)(
    'share it to the end when the first of them gets %s',
    async (how) => {
      const folder = project(makes('true'));
      const { calls, tool } = await together(() => new Call(['make'], folder), 3);
      const [first, ...others] = calls;
      const signal = how === 'rch cancel' ? 'SIGINT' : how;
      if (how === 'rch cancel') await world.rch(['cancel', (await firstOf(3)).id]);
      else first?.kill(signal);
      expect(await within(first?.end ?? Promise.reject(new Error()))).toMatchObject({ signal });
      expect(tool.alive).toBe(true);
      // More than the window of a stream: somebody has to take it.
      await tool.does('sys.stdout.write("x" * 6_000_000)');
      tool.begin('sys.exit()');
      for (const { end } of others) {
        const { code, stdout } = await within(end);
        expect(code).toBe(0);
        const text = stdout.toString('latin1');
        const whole = `cc x.c -o x\n${'x'.repeat(6_000_000)}a\xffb\x00c`;
        expect(text === whole, `${text.length} bytes`).toBe(true);
      }
      expect(runs(folder)).toBe('ran\n');
      upToDate(folder);
    },
  );

  it('end it when the last of them has gone', async () => {
    const folder = project(makes('true'));
    const { calls, tool } = await together(() => new Call(['make'], folder), 2);
    for (const call of calls) {
      expect(tool.alive).toBe(true);
      call.kill('SIGKILL');
      await within(call.end);
    }
    await tool.dies();
    await inPhase('', 0);
  });

  it('run it by themselves, one for all, when it comes to nothing', async () => {
    const folder = project(makes('true'));
    const { calls, tool } = await together(() => new Call(['make'], folder), 3);
    // Nobody knows its end any more.
    for (const agent of agentsBelow(world.data)) process.kill(agent, 'SIGKILL');
    await tool.dies();
    const next = await gate.tool();
    await inPhase('joined to', 1);
    next.begin('sys.exit()');
    const ends = await within(Promise.all(calls.map(({ end }) => end)));
    expect(ends.map(({ code }) => code)).toEqual([102, 0, 0]);
    expect(runs(folder)).toBe('ran\n');
  });

  it('get every byte once, also when the link dies while one of them is told', async () => {
    const folder = project(makes('true'));
    const { calls, tool } = await together(() => new Call(['make'], folder), 2);
    const waiting = calls[1];
    waiting?.kill('SIGSTOP');
    await tool.does('sys.stdout.write("0123456789abcdef" * 400_000)');
    tool.begin('sys.exit()');
    const first = await within(calls[0]?.end ?? Promise.reject(new Error()));
    const job = (await world.history(1))[0]?.id ?? '';
    await until(async () => {
      const [row] = (await world.history(5)).filter(({ id }) => id === job);
      return row?.exit === 0;
    }, 'was the second told');
    const { pid } = JSON.parse(await world.rch(['daemon', 'status', '--json'])) as { pid: number };
    for (const link of linksOf(pid)) process.kill(link, 'SIGKILL');
    waiting?.kill('SIGCONT');
    const second = await within(waiting?.end ?? Promise.reject(new Error()));
    expect(second.code, second.stderr.toString()).toBe(0);
    expect(second.stdout.equals(first.stdout), `${second.stdout.length} bytes`).toBe(true);
    expect(runs(folder)).toBe('ran\n');
  });

  it('get the result of a run that has ended, on the tree it left, where that was asked for', async () => {
    world.writeConfig('config.toml', '[deduplication]\nreuse_sec = 600\n');
    await world.rch(['workers', 'probe', 'embedded']);
    const folder = project({
      'x.c': 'int main(void) { return 0; }\n',
      Makefile: 'x: x.c\n\t@echo ran >> runs\n\tcc x.c -o x\n',
    });
    const make = (): Promise<Ended> => within(new Call(['make'], folder).end);
    const first = await make();
    expect(first.stdout.toString()).toBe('cc x.c -o x\n');
    expect(same(await make())).toEqual(same(first));
    expect((await rows(1))[0]).toHaveProperty('joined');
    expect(runs(folder)).toBe('ran\n');
    write(folder, { 'x.c': 'int main(void) { return 7; }\n' });
    expect(same(await make())).toEqual(same(first));
    expect(runs(folder)).toBe('ran\nran\n');
    // What somebody took away is made again.
    rmSync(join(folder, 'x'));
    await make();
    expect(readdirSync(folder)).toContain('x');
    world.writeConfig('config.toml', '');
  });
});

/** Agents that run below a folder. */
function agentsBelow(folder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return (
          argv.includes('serve') &&
          argv.some((word) => word.endsWith('rch-wkr.mjs')) &&
          argv.some((word) => word.startsWith(folder))
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** The link processes of a daemon. */
function linksOf(daemon: number): number[] {
  const children = readFileSync(`/proc/${daemon}/task/${daemon}/children`, 'utf8');
  return children.trim().split(' ').filter(Boolean).map(Number);
}
