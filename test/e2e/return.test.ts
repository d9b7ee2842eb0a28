/** What a job brings back: beside other jobs, from its own /tmp, and before its end. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ended, World, type Ended, type HistoryRow } from '../rig/world.ts';
import { write, type Files } from './projects.ts';
import { until, within, words } from './trouble.ts';
import { clear } from '../rig/processes.ts';

let world: World;
let base: string;

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'rch-return-'));
  world = await World.create('[[workers]]\nid = "here"\ntransport = "embedded"\ntotal_slots = 8\n');
  await world.start();
});
afterAll(async () => {
  await world.dispose();
  rmSync(base, { recursive: true, force: true });
});

function project(name: string, files: Files): string {
  const folder = join(base, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  write(folder, files);
  return folder;
}

const remotely = { RCH_FORCE_REMOTE: '1' };

function run(cwd: string, argv: readonly string[], env: Files = {}): Promise<Ended> {
  return within(world.run(argv, { cwd, env: { ...remotely, ...env } }), argv.join(' '), 120_000);
}

/** The newest records, all of which must be remote. */
async function ranThere(n: number): Promise<readonly HistoryRow[]> {
  const rows = await world.history(n);
  for (const row of rows) expect(row, row.reason).toMatchObject({ decision: 'remote' });
  return rows;
}

it('keeps the times of its results apart where the output goes to a file in the project', async () => {
  const folder = project('logged', {
    Makefile: 'two: one\n\t@sleep 0.3; touch two\none:\n\t@echo begins; touch one\n',
  });
  const all = await run(folder, ['sh', '-c', 'make > build.log 2>&1']);
  expect(words(all)).toBe('');
  await ranThere(1);
  expect(readFileSync(join(folder, 'build.log'), 'utf8')).toBe('begins\n');
  const [one, two] = ['one', 'two'].map((name) => statSync(join(folder, name)).mtimeMs);
  expect(Number(two) - Number(one)).toBeGreaterThan(250);
});

it('goes on though a file is dated in the future, as it does here', async () => {
  const folder = project('future', { Makefile: 'x:\n\t@echo made; touch x\n', README: '' });
  const later = new Date(Date.now() + 3_600_000);
  utimesSync(join(folder, 'README'), later, later);
  const before = statSync(join(folder, 'README'), { bigint: true }).mtimeNs;
  for (const words of ['made\n', "make: 'x' is up to date.\n"])
    expect((await run(folder, ['make'])).stdout.toString()).toBe(words);
  await ranThere(2);
  expect(statSync(join(folder, 'README'), { bigint: true }).mtimeNs).toBe(before);
});

describe('compiler calls in one project', () => {
  /** A compiler that lets no call begin before its partner has: a FIFO opens only when both ends are there. */
  const meeting = `#!/bin/sh
case "$*" in
*one*) pair=\${3#one} ;;
*two*) pair=\${3#two} ;;
esac
case "$*" in
*.c*)
  mkfifo meet\${pair%.c} 2>/dev/null
  case "$*" in *one*) : > meet\${pair%.c} ;; *) : < meet\${pair%.c} ;; esac ;;
esac
exec /usr/bin/gcc "$@"
`;

  it('run beside each other, and each returns its own outputs', async () => {
    const files: Record<string, string> = {
      Makefile: '%.o: %.c\n\tgcc -MMD -c $< -o $@\n',
      'common.h': '',
    };
    const names = Array.from({ length: 8 }, (_, at) => `${at % 2 === 0 ? 'one' : 'two'}${at >> 1}`);
    for (const [at, name] of names.entries())
      files[`${name}.c`] = `#include "common.h"\nint ${name}(void) { return ${at}; }\n`;
    const folder = project('beside', files);
    mkdirSync(join(folder, 'bin'));
    writeFileSync(join(folder, 'bin', 'gcc'), meeting);
    chmodSync(join(folder, 'bin', 'gcc'), 0o755);
    const script = `PATH="\${PATH%%:*}:$PWD/bin:\${PATH#*:}"
for n in ${names.join(' ')}; do gcc -MMD -c $n.c -o $n.o & done; wait`;
    const all = await run(folder, ['sh', '-c', script]);
    expect(words(all)).toBe('');
    await ranThere(8);
    rmSync(join(folder, 'bin'), { recursive: true });
    for (const name of names) {
      expect(readFileSync(join(folder, `${name}.d`), 'utf8')).toBe(
        `${name}.o: ${name}.c common.h\n`,
      );
      execFileSync('gcc', ['-c', `${name}.c`, '-o', 'own'], { cwd: folder });
      expect(
        readFileSync(join(folder, `${name}.o`)).equals(readFileSync(join(folder, 'own'))),
      ).toBe(true);
    }
    rmSync(join(folder, 'own'));
    const objects = names.map((name) => `${name}.o`);
    const fresh = await run(folder, ['make', '-q', ...objects], { RCH_BYPASS: '1' });
    expect(fresh.code).toBe(0);
    // And the other way round: an edit here, then make there, which builds what the edit touches and no more.
    writeFileSync(join(folder, 'two1.c'), 'int two1(void) { return 33; }\n');
    const made = await run(folder, ['make', ...objects]);
    expect(made.stdout.toString().match(/gcc .*/g)).toEqual(['gcc -MMD -c two1.c -o two1.o']);
    await ranThere(1);
    expect(readdirSync(folder).filter((name) => /rch-|meet/.test(name))).toEqual([]);
  }, 240_000);
});

describe('a large file', () => {
  const SIZE = 40_000_000;
  const makefile = `big: stamp
\tyes rch | head -c ${SIZE} > big && chmod 750 big
both: stamp
\tyes both | head -c ${SIZE} > one && cp one two && touch both
`;
  const right = (path: string, word: string): void => {
    const data = readFileSync(path);
    expect(data.length).toBe(SIZE);
    expect(data.equals(Buffer.alloc(SIZE, `${word}\n`)), path).toBe(true);
  };
  /** Bytes of the contents that wait here to be placed, or were. */
  const spooled = (): number => {
    const spool = join(world.home, '.cache', 'rch', 'spool', 'here');
    if (!existsSync(spool)) return 0;
    const names = readdirSync(spool, { recursive: true, encoding: 'utf8' });
    return names
      .map((name) => statSync(join(spool, name), { throwIfNoEntry: false })?.size ?? 0)
      .reduce((sum, size) => sum + size, 0);
  };

  it('comes each time it is made, in one project and in several at once', async () => {
    const files = { Makefile: makefile, stamp: '' };
    const folders = ['large1', 'large2', 'large3'].map((name) => project(name, files));
    const [first = ''] = folders;
    const before = spooled();
    for (let round = 0; round < 2; round++) {
      await run(first, ['make', 'big']);
      right(join(first, 'big'), 'rch');
      expect(statSync(join(first, 'big')).mode & 0o777).toBe(0o750);
      expect((await run(first, ['make', '-q', 'big'], { RCH_BYPASS: '1' })).code).toBe(0);
      // It is moved, not copied.
      expect(spooled() - before).toBeLessThan(SIZE);
      rmSync(join(first, 'big'));
    }
    await ranThere(2);
    await run(first, ['make', 'both']);
    for (const name of ['one', 'two']) right(join(first, name), 'both');
    await Promise.all(folders.map((folder) => run(folder, ['make', 'big', 'both'])));
    await ranThere(3);
    for (const folder of folders) {
      right(join(folder, 'big'), 'rch');
      for (const name of ['one', 'two']) right(join(folder, name), 'both');
      const fresh = await run(folder, ['make', '-q', 'big', 'both'], { RCH_BYPASS: '1' });
      expect(fresh.code).toBe(0);
      expect(readdirSync(folder).filter((name) => name.includes('rch-'))).toEqual([]);
    }
  });

  it('and many small ones, of a large return, are moved as well; what is not huge is kept for the next time', async () => {
    const folder = project('many', {
      Makefile: `all:
\tmkdir -p parts; for i in $$(seq 40); do yes "part $$i" | head -c 500000 > parts/$$i; done
\tcp parts/1 twin; chmod 640 twin; touch parts/empty; echo small > parts/small
`,
    });
    const check = (): void => {
      for (let i = 1; i <= 40; i++) {
        const part = Buffer.alloc(500_000, `part ${i}\n`);
        expect(readFileSync(join(folder, 'parts', String(i))).equals(part)).toBe(true);
      }
      expect(readFileSync(join(folder, 'twin')).equals(Buffer.alloc(500_000, 'part 1\n'))).toBe(
        true,
      );
      expect(statSync(join(folder, 'twin')).mode & 0o777).toBe(0o640);
      expect(readFileSync(join(folder, 'parts', 'small'), 'utf8')).toBe('small\n');
    };
    const before = spooled();
    await run(folder, ['make']);
    check();
    const [first] = await ranThere(1);
    // Copied after the end, one after the other.
    await until(() => Promise.resolve(spooled() - before >= 40 * 500_000), 'were they kept');
    rmSync(join(folder, 'parts'), { recursive: true });
    writeFileSync(join(folder, 'twin'), 'mine\n');
    await run(folder, ['make']);
    check();
    const [second] = await ranThere(1);
    expect(first?.bytes['received']).toBeGreaterThan(0);
    expect(second?.bytes['received']).toBe(0);
    expect(readdirSync(folder).filter((name) => name.includes('rch-'))).toEqual([]);
  });

  it('comes though the folder in which it waits was removed', async () => {
    const folder = project('large-removed', { Makefile: makefile, stamp: '' });
    await run(folder, ['make', 'big']);
    rmSync(join(folder, 'big'));
    clear(join(world.home, '.cache', 'rch', 'spool'));
    await run(folder, ['make', 'big', 'both']);
    await ranThere(1);
    right(join(folder, 'big'), 'rch');
    for (const name of ['one', 'two']) right(join(folder, name), 'both');
  });

  it('that was made here meanwhile stays, and the one of the worker lies beside it', async () => {
    const folder = project('large-edit', {
      Makefile: `big: stamp
\t@yes rch | head -c ${SIZE} > big; echo made; read -r go
`,
      stamp: '',
    });
    const child = world.spawn(['make', 'big'], { cwd: folder, env: remotely });
    child.stdin?.on('error', () => undefined);
    const over = ended(child);
    await once(child.stdout as Readable, 'data');
    writeFileSync(join(folder, 'big'), 'mine');
    child.stdin?.end('on\n');
    await within(over, 'make', 60_000);
    await ranThere(1);
    expect(readFileSync(join(folder, 'big'), 'utf8')).toBe('mine');
    const [beside = ''] = readdirSync(folder).filter((name) => name.startsWith('big.rch-'));
    right(join(folder, beside), 'rch');
  });
});

it('keeps nothing beside what cargo notes of rustc before it waits for its lock', async () => {
  const folder = project('noted', {
    Makefile:
      'all:\n\t@mkdir -p target; echo there > target/.rustc_info.json; echo made; read -r go\n',
  });
  const child = world.spawn(['make'], { cwd: folder, env: remotely });
  child.stdin?.on('error', () => undefined);
  const over = ended(child);
  await once(child.stdout as Readable, 'data');
  write(folder, { 'target/.rustc_info.json': 'here' });
  child.stdin?.end('on\n');
  await within(over, 'make', 60_000);
  await ranThere(1);
  expect(readFileSync(join(folder, 'target/.rustc_info.json'), 'utf8')).toBe('here');
  expect(readdirSync(join(folder, 'target'))).toEqual(['.rustc_info.json']);
});

describe('the /tmp of a job', () => {
  const scratch = `/tmp/rch-left-${process.pid}`;
  afterAll(() => {
    rmSync(scratch, { recursive: true, force: true });
    for (const path of [`${scratch}.txt`, `${scratch}.in`]) rmSync(path, { force: true });
  });

  it('comes back as far as it is new; what is here already stays, and the next run is here', async () => {
    const folder = project('left', {
      // So written, no plan finds the path in it.
      Makefile: `T := $(shell printf '\\057tmp\\057rch-left-${process.pid}')
all:
	mkdir -p $(T)/sub && echo report > $(T)/sub/report && ln -s report $(T)/sub/link
	mkfifo $(T)/fifo
	echo gone > $(T)/gone && rm $(T)/gone
	cat in > $(T).txt
`,
      in: 'one\n',
    });
    const first = await run(folder, ['make']);
    expect(first.code, words(first)).toBe(0);
    await ranThere(1);
    expect(readFileSync(`${scratch}/sub/link`, 'utf8')).toBe('report\n');
    expect(readdirSync(scratch)).toEqual(['sub']);
    expect(statSync(`${scratch}/sub/report`).uid).toBe(process.getuid?.());
    expect(readFileSync(`${scratch}.txt`, 'utf8')).toBe('one\n');
    rmSync(scratch, { recursive: true });
    writeFileSync(join(folder, 'in'), 'two\n');
    const second = await run(folder, ['make']);
    expect(second.code, words(second)).toBe(0);
    await ranThere(1);
    expect(readFileSync(`${scratch}.txt`, 'utf8')).toBe('one\n');
    const beside = readdirSync('/tmp').filter((name) =>
      name.startsWith(`rch-left-${process.pid}.txt.rch-`),
    );
    expect(beside.map((name) => readFileSync(join('/tmp', name), 'utf8'))).toEqual(['two\n']);
    for (const name of beside) rmSync(join('/tmp', name));
    rmSync(scratch, { recursive: true });
    expect((await run(folder, ['make'])).code).toBe(0);
    const [row] = await world.history(1);
    expect(row).toMatchObject({ decision: 'local' });
    expect(row?.reason).toContain(`${scratch}.txt`);
    expect(readFileSync(`${scratch}.txt`, 'utf8')).toBe('two\n');
    expect(existsSync(`${scratch}/fifo`)).toBe(true);
  }, 240_000);

  it('does not hold what is in /tmp here: a command that misses it is local from then on', async () => {
    const input = `${scratch}.in`;
    writeFileSync(input, 'here\n');
    const folder = project('misses', {
      Makefile: `T := $(shell printf '\\057tmp\\057rch-left-${process.pid}.in')\nall: $(T)\n\tcat $(T) > out\n`,
    });
    const first = await run(folder, ['make']);
    await ranThere(1);
    expect(first.code).not.toBe(0);
    const second = await run(folder, ['make']);
    expect(second.code, words(second)).toBe(0);
    const [row] = await world.history(1);
    expect(row).toMatchObject({ decision: 'local' });
    expect(row?.reason).toContain(input);
    expect(readFileSync(join(folder, 'out'), 'utf8')).toBe('here\n');
  }, 240_000);

  it('is where TMPDIR says, too', async () => {
    const own = mkdtempSync(join(base, 'tmpdir-'));
    const folder = project('elsewhere', { Makefile: 'all:\n\techo x > "$$(mktemp)"\n' });
    const made = await run(folder, ['make'], { TMPDIR: own });
    expect(made.code, words(made)).toBe(0);
    await ranThere(1);
    expect(readdirSync(own)).toEqual([expect.stringMatching(/^tmp\./)]);
  }, 240_000);
});

describe('a tree that somebody else changed on the worker', () => {
  const files = {
    Makefile: 'one two three four five:\n\t@cat notes/a.txt notes/b.txt > $@\n',
    'notes/a.txt': 'precious\n',
    'notes/b.txt': 'words\n',
    'notes/c.txt': 'that no rule reads\n',
  };

  /** The agent may still be writing what it keeps of the last job. */
  const gone = { recursive: true, maxRetries: 10 };

  /** The worker's copy of the project. */
  function copyOf(folder: string): string {
    const trees = join(world.home, '.cache', 'rch', 'embedded', 'trees');
    const metas = readdirSync(trees, { recursive: true, encoding: 'utf8' });
    const meta = metas.find(
      (name) =>
        /^\w+\/\w+\/meta\.json$/.test(name) &&
        readFileSync(join(trees, name), 'utf8').includes(JSON.stringify(folder)),
    );
    return dirname(join(trees, meta ?? '-'));
  }

  it.each([
    {
      what: 'files',
      damage: (copy: string) => {
        rmSync(join(copy, 't', 'notes', 'c.txt'));
        writeFileSync(join(copy, 't', 'notes', 'a.txt'), 'others\n');
        writeFileSync(join(copy, 't', 'more.txt'), 'others\n');
      },
    },
    {
      what: 'all files',
      damage: (copy: string) => {
        rmSync(join(copy, 't'), gone);
      },
    },
    {
      what: 'the copy',
      damage: (copy: string) => {
        rmSync(copy, gone);
      },
    },
    {
      what: 'the contents it was made of, too',
      damage: (copy: string) => {
        rmSync(join(copy, 't', 'notes'), gone);
        rmSync(join(copy, '..', '..', '..', 'store'), gone);
      },
    },
  ])('is made right before anything runs in it ($what)', async ({ damage }) => {
    const folder = project('purged', files);
    expect(words(await run(folder, ['make', 'one']))).toBe('');
    await ranThere(1);
    damage(copyOf(folder));
    const made = await run(folder, ['make', 'two']);
    expect(words(made)).toBe('');
    // With an edit, so that something has to be sent in any case.
    damage(copyOf(folder));
    writeFileSync(join(folder, 'notes', 'b.txt'), 'other words\n');
    expect(words(await run(folder, ['make', 'three']))).toBe('');
    await ranThere(1);
    for (const [name, text] of Object.entries({ ...files, 'notes/b.txt': 'other words\n' }))
      expect(readFileSync(join(folder, name), 'utf8')).toBe(text);
    expect(readFileSync(join(folder, 'two'), 'utf8')).toBe('precious\nwords\n');
    expect(readFileSync(join(folder, 'three'), 'utf8')).toBe('precious\nother words\n');
    expect(readdirSync(folder).sort()).toEqual(['Makefile', 'notes', 'one', 'three', 'two']);
  });
});

describe('a long build', () => {
  it('has returned what it finished before it ends, and in the end returns what it made of it', async () => {
    const folder = project('long', {
      Makefile: `all:
	head -c 30000000 /dev/urandom > first
	head -c 30000000 /dev/urandom > second
	@read word; echo $$word >> second
`,
    });
    const child = world.spawn(['make'], { cwd: folder, env: remotely });
    const end = ended(child);
    const spool = join(world.home, '.cache', 'rch', 'spool', 'here');
    mkdirSync(spool, { recursive: true });
    const large = ['-size', '+29000k', '-not', '-path', '*/partial/*'];
    await until(
      () =>
        Promise.resolve(
          execFileSync('find', [spool, ...large], { encoding: 'utf8' })
            .trim()
            .split('\n').length === 2,
        ),
      'had both come',
    );
    // The command waits for its input: nothing is placed before its end.
    expect(readdirSync(folder)).toEqual(['Makefile']);
    child.stdin?.end('word\n');
    const { code, stderr } = await within(end);
    expect(code, stderr.toString()).toBe(0);
    expect(statSync(join(folder, 'first')).size).toBe(30_000_000);
    expect(readFileSync(join(folder, 'second')).subarray(30_000_000).toString()).toBe('word\n');
    await ranThere(1);
  }, 240_000);
});
