/** Standard streams of every kind through a worker: files, pipes, what is closed, what is binary, what nobody reads. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noFleet } from '../rig/fleet.ts';
import { ended } from '../rig/world.ts';
import { residentKib } from '../shims/run-rig.ts';
import type { Files } from './projects.ts';
import { Scene, until, within, words } from './trouble.ts';

let scene: Scene;

/** Resident KiB of the link and the agent. */
type Memory = { readonly link: number; readonly agent: number };

async function memory(): Promise<Memory> {
  const link = processes().find(
    ({ words }) => words.includes(scene.world.data) && words.includes('link.mjs'),
  );
  if (link === undefined) throw new Error('there is no link');
  const agents = (await scene.fleet.inside(scene.worker, 'ps', '-eo', 'rss,args'))
    .split('\n')
    .filter((line) => line.includes('rch-wkr.mjs'))
    .map((line) => Number.parseInt(line, 10));
  return { link: residentKib(link.pid), agent: Math.max(...agents) };
}

function processes(): { pid: number; words: string }[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      return [{ pid: Number(name), words: readFileSync(`/proc/${name}/cmdline`, 'latin1') }];
    } catch {
      return [];
    }
  });
}

/** Bytes that a process has received and passed on, by proc_pid_io(5). */
function moved(pid: number): number {
  const numbers = readFileSync(`/proc/${pid}/io`, 'latin1').match(/^[rw]char: \d+$/gm) ?? [];
  return numbers.reduce((sum, line) => sum + Number(line.split(' ')[1]), 0);
}

/** Lines of `seq 1 LINES`: 198,888,894 bytes. */
const lines = 23_000_000;

const project: Files = {
  Makefile: `cat:
\t@cat
first:
\t@read -r x; echo "$$x"
say:
\t@echo "said $(WHAT)"
nothing:
\t@true
half:
\t@printf 'no end'
bytes:
\t@cat all
both:
\t@i=0; while [ $$i -lt 300 ]; do i=$$((i+1)); echo "out $$i"; echo "err $$i" >&2; done
for-ever:
\t@yes
errors:
\t@yes >&2
many:
\t@seq 1 ${lines}
`,
  list: 'one\ntwo\nthree\n',
};

/** One shell line each, run in one shell here and there; what it prints must be the same. */
const script = [
  'm() { make -s "$@"; }',
  'm cat < list',
  'printf "a pipe" | m cat',
  'm cat <<END\na here-document\nEND',
  'm cat <<< "a here-string"',
  'm cat < /dev/null; echo "null $?"',
  'm cat <&-; echo "closed $?"',
  '(m first; echo "left: $(cat)") < list',
  'printf "1\\n2\\n3\\n" | { m nothing; cat; }',
  'while read -r f; do m say WHAT="$f"; done < list',
  'cat list | while read -r f; do m say WHAT="$f"; done',
  'm half; echo "|"',
  'm bytes | sha256sum',
  'm bytes > copy; cmp copy all && echo equal',
  'm say WHAT=appended >> log; m say WHAT=twice >> log; cat log; rm log',
  'm half >&-; echo "no output $?"',
  'm both 2>&- | sha256sum',
  'm both 2>&1 | sha256sum',
  'm both > log 2>&1; sha256sum < log',
  'm both >> log 2>> log; wc -l < log',
  'm both > log 2> log2; cat log log2 | sha256sum; rm log log2',
  'm for-ever | head -n 1; echo "${PIPESTATUS[0]}"',
  'm errors 2>&1 > /dev/null | head -n 1; echo "${PIPESTATUS[0]}"',
  '(trap "" PIPE; m for-ever | head -n 1; echo "${PIPESTATUS[0]}")',
].join('\n');

describe.skipIf(noFleet !== undefined)('streams of a build on a worker', () => {
  beforeAll(async () => {
    scene = await Scene.set('streams');
    await scene.buildsThere(scene.project('warm'));
  }, 900_000);
  afterAll(async () => {
    await scene.leave();
  });

  it('are those of the same build here', async () => {
    const run = async (shims: boolean): Promise<string> => {
      const folder = scene.project('streams', project);
      execFileSync('python3', ['-c', 'open("all", "wb").write(bytes(range(256)) * 999)'], {
        cwd: folder,
      });
      const end = await within(
        scene.world.run(['bash', '-c', script], {
          cwd: folder,
          shims,
          env: { RCH_FORCE_REMOTE: '1' },
        }),
        'all the lines',
        240_000,
      );
      expect(end.code, words(end)).toBe(0);
      return `${end.stdout.toString()}--\n${end.stderr.toString()}`;
    };
    const here = await run(false);
    expect(await run(true)).toBe(here);
    const rows = await scene.world.history(100);
    const local = rows.filter(({ decision }) => decision === 'local');
    expect(local.map(({ command, reason }) => `${command}: ${reason}`)).toEqual([]);
    expect(rows.length).toBeGreaterThan(25);
  });

  it('stay here where two descriptors write one file, each from its own place', async () => {
    const folder = scene.project('twice', project);
    await scene.world.run(['bash', '-c', 'make -s both > log 2> log'], {
      cwd: folder,
      env: { RCH_FORCE_REMOTE: '1' },
    });
    expect(await scene.last()).toMatchObject({
      decision: 'local',
      reason: 'one file was opened twice for the standard streams',
    });
  });

  it('hold the tool back while nobody reads, and then bring every byte', async () => {
    const folder = scene.project('many', project);
    const child = scene.world.spawn(['make', '-s', 'many'], {
      cwd: folder,
      env: { RCH_FORCE_REMOTE: '1' },
    });
    child.stdin?.end();
    if (child.stdout === null || child.pid === undefined) throw new Error('make did not start');
    child.stdout.pause();
    const shim = child.pid;
    await until(() => scene.runsThere('seq 1'), 'did the tool run');
    const before = await memory();
    let seen = -1;
    let quiet = 0;
    await until(() => {
      const now = moved(shim);
      quiet = now === seen ? quiet + 1 : 0;
      seen = now;
      return Promise.resolve(quiet > 5);
    }, 'did the output stand still');
    expect(await scene.runsThere('seq 1')).toBe(true);
    const stalled = await memory();
    const hash = createHash('sha256');
    let bytes = 0;
    let most = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      // Every sixteen megabytes or so.
      if (bytes >> 24 !== (bytes + chunk.length) >> 24) most = Math.max(most, residentKib(shim));
      bytes += chunk.length;
    });
    const done = ended(child);
    child.stdout.resume();
    const end = await within(done, 'the output', 200_000);
    expect(end.code, end.stderr.toString()).toBe(0);
    expect(await scene.last()).toMatchObject({ decision: 'remote', exit: 0 });
    const after = await memory();
    const expected = execFileSync('sh', ['-c', `seq 1 ${lines} | sha256sum`], { encoding: 'utf8' });
    expect(`${hash.digest('hex')}  -\n`, `${bytes} bytes`).toBe(expected);
    // Windows and what the collector of garbage has not seen to yet; nothing that grows with the output.
    const bound = 80 * 1024;
    for (const then of [stalled, after]) {
      expect(then.link - before.link).toBeLessThan(bound);
      expect(then.agent - before.agent).toBeLessThan(bound);
    }
    expect(most).toBeLessThan(bound);
  });
});
