/** Bad input and trouble: each gets a clear message or a silent local run with a reason, and no file is harmed. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noFleet } from '../rig/fleet.ts';
import type { HistoryRow } from '../rig/world.ts';
import { type Files, write } from './projects.ts';
import { runsHereBecause, Scene, tiny, until, withWorld, within, words } from './trouble.ts';

let scene: Scene;

/** `used` is a tmpfs of so many bytes for the time of `use`. */
async function onSmallDisk(folder: string, bytes: number, use: () => Promise<void>): Promise<void> {
  mkdirSync(folder, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder]);
  try {
    await use();
  } finally {
    execFileSync('umount', ['-l', folder]);
  }
}

/** Names that our own programs give to what is not finished. */
const halves = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'latin1' }).filter((name) => /rch-/.test(name));

/** Every file below a folder with its bytes' hash, names as bytes. */
function contents(folder: string): string {
  return execFileSync('sh', ['-c', 'find . -type f -print0 | sort -z | xargs -0 sha256sum -z'], {
    cwd: folder,
    encoding: 'latin1',
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
  });
}

describe.skipIf(noFleet !== undefined)('workers that cannot be used', () => {
  beforeAll(async () => {
    scene = await Scene.set('trouble');
  }, 900_000);
  afterAll(async () => {
    await scene.leave();
  });

  it('says which workers there are when one is asked for that nobody knows', async () => {
    const folder = scene.project('unknown');
    const { ended, row } = await scene.build(folder, ['make'], { RCH_WORKER: 'nobody' });
    expect(ended.code).toBe(0);
    expect(row).toMatchObject({ decision: 'local', worker: null });
    expect(row.reason).toMatch(/nobody/);
    await expect(scene.world.rch(['workers', 'probe', 'nobody'])).rejects.toThrow(/nobody/);
  });

  it('takes a project that is too large for no fault of the worker', async () => {
    const rules = '[breaker]\nfailure_threshold = 0.5\n[transfer]\nmax_transfer_size_mb = 1\n';
    scene.world.writeConfig('config.toml', rules);
    const large = scene.project('large');
    writeFileSync(join(large, 'noise'), Buffer.alloc(2_000_000, 1));
    const { ended, row } = await scene.build(large);
    expect(ended.code, words(ended)).toBe(0);
    expect(row).toMatchObject({ decision: 'local', worker: null });
    expect(row.reason).toMatch(/holds 2\.0 MB, more than transfer.max_transfer_size_mb allows/);
    await scene.buildsThere(scene.project('small'));
    scene.world.writeConfig('config.toml', '');
  });

  it('builds here when the host does not answer', async () => {
    const worker = `[[workers]]\nid = "far"\nhost = "192.0.2.1"\nuser = "u"\n[defaults]\nssh_timeout_ms = 1000\n`;
    await withWorld(worker, (world, folder) => runsHereBecause(world, folder, /far/));
  });

  it('builds here when nothing listens there', async () => {
    const worker = `[[workers]]\nid = "shut"\nhost = "127.0.0.1"\nport = 1\nuser = "u"\n`;
    await withWorld(worker, (world, folder) => runsHereBecause(world, folder, /shut.*refuses/));
  });

  it('builds here when the key is not the right one, and says so', async () => {
    const keys = mkdtempSync(join(tmpdir(), 'rch-keys-'));
    const key = join(keys, 'other');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    const { host, port, user } = scene.worker;
    const worker = `[[workers]]\nid = "keyless"\nhost = "${host}"\nport = ${port}\nuser = "${user}"\nidentity_file = "${key}"\n`;
    try {
      await withWorld(
        worker,
        async (world, folder) => {
          await runsHereBecause(world, folder, /keyless/);
          await expect(within(world.rch(['workers', 'probe', 'keyless']))).rejects.toThrow(
            /key|auth/i,
          );
        },
        scene.fleet.knownHosts(),
      );
    } finally {
      rmSync(keys, { recursive: true });
    }
  });

  it('refuses a host whose key has changed, with both fingerprints', async () => {
    const keys = mkdtempSync(join(tmpdir(), 'rch-keys-'));
    const key = join(keys, 'other');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    const other = execFileSync('ssh-keygen', ['-y', '-f', key], { encoding: 'utf8' });
    const fingerprint = (file: string): string =>
      /SHA256:\S+/.exec(
        execFileSync('ssh-keygen', ['-l', '-f', file], { encoding: 'utf8' }),
      )?.[0] ?? '';
    try {
      await withWorld(
        scene.fleet.workersToml(),
        async (world, folder) => {
          await runsHereBecause(world, folder, /worker1/);
          const text = await within(world.rch(['workers', 'probe', 'worker1'])).catch(String);
          expect(text).toContain(fingerprint(key));
          expect(text).toContain(fingerprint(scene.worker.knownHosts));
        },
        `${scene.worker.host} ${other}`,
      );
    } finally {
      rmSync(keys, { recursive: true });
    }
  });

  it.each([
    ['talks nonsense', '["sh", "-c", "head -c 1000000 /dev/urandom"]'],
    ['says nothing', '["sleep", "1000"]'],
    [
      'claims to be an agent, then talks nonsense',
      `["sh", "-c", "printf '\\\\0rch-agent\\\\1\\\\n'; head -c 100000 /dev/urandom"]`,
    ],
  ])('builds here when a worker %s', async (_, command) => {
    const worker = `[[workers]]\nid = "odd"\ntransport = "command"\ncommand = ${command}\n`;
    await withWorld(worker, (world, folder) => runsHereBecause(world, folder, /odd/));
  });

  it('builds here when a name means another program there, and there once it does not', async () => {
    const inside = (line: string): Promise<string> =>
      scene.fleet.inside(scene.worker, 'sh', '-c', line);
    const folder = scene.project('turned', { Makefile: 'out:\n\tawk "BEGIN { print 1 }" > out\n' });
    await inside('ln -sf /usr/bin/perl /etc/alternatives/awk');
    try {
      const { ended, row } = await scene.build(folder, ['make']);
      expect(ended.code, words(ended)).toBe(0);
      expect(row).toMatchObject({ decision: 'local' });
      expect(row.reason).toMatch(/awk is \/usr\/bin\/perl there and \S+awk here/);
    } finally {
      await inside('ln -sf /usr/bin/mawk /etc/alternatives/awk');
    }
    rmSync(join(folder, 'out'));
    await scene.world.rch(['workers', 'probe', scene.worker.id]);
    const { row } = await scene.build(folder, ['make']);
    expect(row, row.reason).toMatchObject({ decision: 'remote' });
  });

  it('builds here from the moment on in which the compiler is another one there', async () => {
    const inside = (line: string): Promise<string> =>
      scene.fleet.inside(scene.worker, 'sh', '-c', line);
    const folder = scene.project('replaced');
    const edited = async (): Promise<HistoryRow> => {
      appendFileSync(join(folder, 'x.c'), '\n');
      const { ended, row } = await scene.build(folder);
      expect(ended.code, words(ended)).toBe(0);
      expect(ended.stderr.toString()).toBe('');
      return row;
    };
    await scene.buildsThere(folder);
    const compiler = (await inside('readlink -f /usr/bin/cc')).trim();
    const other = `#!/bin/sh\ncase $* in *version) echo 99.1; exit;; esac\necho other >&2\nexec ${compiler}.kept "$@"\n`;
    const file = join(scene.worker.root, compiler);
    await inside(`mv ${compiler} ${compiler}.kept`);
    try {
      writeFileSync(file, other, { mode: 0o755 });
      // By the agent where it told of its tools not long ago, else because they are asked for anew.
      expect(await edited()).toMatchObject({
        decision: 'local',
        reason: expect.stringMatching(/changed a moment ago|cc is "99\.1.*there/) as string,
      });
      expect(await edited()).toMatchObject({
        decision: 'local',
        reason: expect.stringMatching(/cc is "99\.1.*there/) as string,
      });
    } finally {
      await inside(`mv ${compiler}.kept ${compiler}`);
    }
    await scene.world.rch(['workers', 'probe', 'worker1']);
    expect(await edited()).toMatchObject({ decision: 'remote' });
  });

  it('builds here when the worker has no inodes left, and there once it has', async () => {
    const folder = scene.project('no-inodes');
    const home = `/home/${scene.worker.user}/.cache`;
    const uid = String(scene.worker.uid);
    const inside = (...argv: string[]): Promise<string> =>
      scene.fleet.inside(scene.worker, ...argv);
    await scene.world.rch(['daemon', 'stop']);
    await inside('pkill', '-KILL', '-u', uid, 'node');
    await inside('mount', '-t', 'tmpfs', '-o', `nr_inodes=100,uid=${uid},mode=700`, 'tmpfs', home);
    try {
      await scene.world.start();
      const none = await scene.build(folder);
      expect(none.ended.code, words(none.ended)).toBe(0);
      expect(none.row).toMatchObject({ decision: 'local' });
      expect(none.row.reason).toMatch(/\d+ inodes are free/);
      await inside('mount', '-o', 'remount,nr_inodes=2000', home);
      await scene.world.rch(['workers', 'probe', 'worker1']);
      appendFileSync(join(folder, 'x.c'), '\n');
      const few = await scene.build(folder);
      expect(few.row).toMatchObject({ decision: 'local' });
      expect(few.row.reason).toMatch(/only \d+ MB are free on its disk, by bytes or by inodes/);
      await inside('mount', '-o', 'remount,nr_inodes=200000', home);
      await scene.world.rch(['workers', 'probe', 'worker1']);
      appendFileSync(join(folder, 'x.c'), '\n');
      await scene.buildsThere(folder);
    } finally {
      await scene.world.rch(['daemon', 'stop']);
      await inside('pkill', '-KILL', '-u', uid, 'node');
      await inside('umount', '-l', home);
      await scene.world.start();
    }
  });

  it('builds here when the disk of the worker is full, and there once it is not', async () => {
    const folder = scene.project('full-there');
    await scene.buildsThere(folder);
    const home = `/home/${scene.worker.user}/.cache`;
    const inside = (...argv: string[]): Promise<string> =>
      scene.fleet.inside(scene.worker, ...argv);
    // The agent is ended, so that it comes back on the small disk, on which it fits and a large project does not.
    await scene.world.rch(['daemon', 'stop']);
    const uid = String(scene.worker.uid);
    await inside('pkill', '-KILL', '-u', uid, 'node');
    await inside('mount', '-t', 'tmpfs', '-o', `size=520m,uid=${uid},mode=700`, 'tmpfs', home);
    try {
      await scene.world.start();
      await scene.buildsThere(folder);
      execFileSync('sh', ['-c', 'head -c 300000000 /dev/urandom > noise'], { cwd: folder });
      writeFileSync(join(folder, 'x.c'), (tiny['x.c'] ?? '').replace('42', '43'));
      const { ended, row } = await scene.build(folder);
      expect(ended.code, words(ended)).toBe(0);
      expect(row).toMatchObject({ decision: 'local' });
      expect(row.reason).toMatch(/free on the worker, too few/);
      expect(await scene.says(join(folder, 'x'))).toBe('43');
      rmSync(join(folder, 'noise'));
      writeFileSync(join(folder, 'x.c'), (tiny['x.c'] ?? '').replace('42', '44'));
      await scene.buildsThere(folder);
      expect(await scene.says(join(folder, 'x'))).toBe('44');
      // What a project leaves on the worker is given up when nothing else could run there.
      const large = scene.project('large-there', {
        Makefile: 'made:\n\thead -c 300000000 /dev/urandom > made\n',
      });
      expect((await scene.build(large, ['make'])).row).toMatchObject({ decision: 'remote' });
      await until(async () => {
        await sleep(1000);
        appendFileSync(join(folder, 'x.c'), '/* once more */\n');
        return (await scene.build(folder)).row.decision === 'remote';
      }, 'was there room again');
    } finally {
      await scene.world.rch(['daemon', 'stop']);
      // It may have ended already, which must not keep the disk small.
      await inside('sh', '-c', `pkill -KILL -u ${uid} node || true`);
      await inside('umount', '-l', home);
      await scene.world.start();
    }
  });

  it('builds here at once when the clock of the worker is an hour behind, and carries nothing', async () => {
    const worker = `[[workers]]\nid = "late"\ntransport = "embedded"\nclock_shift_ns = "-3600000000000"\n`;
    await withWorld(worker, async (world, folder) => {
      await within(world.rch(['workers', 'probe', 'late']));
      await runsHereBecause(world, folder, /late: its clock is 36\d\d\.\d s behind ours/);
    });
  });

  it('builds here what could find more on the worker than here, and there once it cannot', async () => {
    const there = (...argv: string[]): Promise<string> => scene.fleet.inside(scene.worker, ...argv);
    const folder = scene.project('more', {
      ...tiny,
      'x.c': `#if __has_include(<rch-more.h>)\n#error more\n#endif\n${tiny['x.c'] ?? ''}`,
    });
    const edit = async (): Promise<void> => {
      appendFileSync(join(folder, 'x.c'), '\n');
      await scene.world.rch(['workers', 'probe', 'worker1']);
    };
    await scene.buildsThere(folder);
    for (const [path, reason] of [
      ['/usr/include/rch-more.h', /has \/usr\/include\/rch-more\.h, which is not here/],
      ['/usr/local/include/stdio.h', /has \/usr\/local\/include\/stdio\.h/],
      ['/usr/local/bin/cc', /cc is \/usr\/local\/bin\/cc there/],
    ] as const) {
      await there('sh', '-c', `echo '#error more' >${path}; chmod 755 ${path}`);
      await edit();
      const { ended, row } = await scene.build(folder);
      await there('rm', path);
      expect(ended.code, words(ended)).toBe(0);
      expect(row).toMatchObject({ decision: 'local', worker: null });
      expect(row.reason).toMatch(reason);
    }
    await edit();
    await scene.buildsThere(folder);
  });

  it('builds when somebody removed its folder on the worker, and soon there again', async () => {
    const folder = scene.project('removed-there');
    await scene.buildsThere(folder);
    const cache = `/home/${scene.worker.user}/.cache`;
    await scene.fleet.inside(scene.worker, 'rm', '-rf', cache);
    // Here, or there by what the agent has in memory.
    const { ended } = await scene.build(folder);
    expect(ended.code, words(ended)).toBe(0);
    await until(async () => {
      // Not at once: a worker that fails again and again is let alone for a while.
      await sleep(4000);
      appendFileSync(join(folder, 'x.c'), '/* once more */\n');
      const again = await scene.build(folder);
      expect(again.ended.code, words(again.ended)).toBe(0);
      expect(await scene.says(join(folder, 'x'))).toBe('42');
      return again.row.decision === 'remote';
    }, 'was there an agent again');
  });

  it('leaves no half of a file when the disk here is full', async () => {
    const folder = join(scene.base, 'full-here');
    await onSmallDisk(folder, 6_000_000, async () => {
      const recipe =
        'big:\n\thead -c 20000000 /dev/zero | tr "\\\\0" x > big\nsmall:\n\techo y > small\n';
      write(folder, { Makefile: recipe });
      const { ended, row } = await scene.build(folder, ['make', 'big']);
      expect(row, row.reason).toMatchObject({ decision: 'remote' });
      expect(ended.code).toBe(102);
      expect(ended.stderr.toString()).toMatch(/space/i);
      expect(readdirSync(folder).sort()).toEqual(['Makefile']);
      await scene.buildsThere(folder, ['make', 'small']);
      expect(readdirSync(folder).sort()).toEqual(['Makefile', 'small']);
      execFileSync('mount', ['-o', 'remount,size=60000000', folder]);
      await scene.buildsThere(folder, ['make', 'big']);
      expect(statSync(join(folder, 'big')).size).toBe(20_000_000);
    });
  });
});

describe.skipIf(noFleet !== undefined)('folders and files out of the ordinary', () => {
  beforeAll(async () => {
    scene = await Scene.set('odd');
  }, 900_000);
  afterAll(async () => {
    await scene.leave();
  });

  it('builds here in the home folder, and in / itself', async () => {
    write(scene.world.home, tiny);
    const atHome = await scene.build(scene.world.home);
    expect(atHome.ended.code, words(atHome.ended)).toBe(0);
    expect(atHome.row).toMatchObject({ decision: 'local' });
    expect(atHome.row.reason).toMatch(/home folder/);
    const folder = scene.project('from-root', { Makefile: 'all:\n\t@echo here\n' });
    const atTop = await scene.build('/', ['make', '-f', join(folder, 'Makefile')]);
    expect(atTop.ended.stdout.toString()).toBe('here\n');
    expect(atTop.row).toMatchObject({ decision: 'local' });
    expect(atTop.row.reason).toMatch(/\/ itself/);
  });

  it('builds while files come and go', async () => {
    const folder = scene.project('vanishing');
    const come =
      'n=0; while :; do n=$((n+1)); mkdir d; echo $n > d/f; echo $n > t.$((n % 7)); rm -r d; rm -f t.*; done';
    const child = scene.world.spawn(['sh', '-c', come], { cwd: folder, shims: false });
    try {
      for (let round = 0; round < 8; round++) {
        write(folder, { 'x.c': (tiny['x.c'] ?? '').replace('42', String(round)) });
        // A tree that never holds still is built here in the end.
        const { ended, row } = await scene.build(folder);
        expect(ended.code, words(ended)).toBe(0);
        if (row.decision === 'local') expect(row.reason).toMatch(/chang/);
        expect(await scene.says(join(folder, 'x'))).toBe(String(round));
      }
    } finally {
      const over = once(child, 'close');
      child.kill('SIGKILL');
      await over;
    }
    await scene.buildsThere(folder, ['make', '-B']);
  });

  it('builds beside a FIFO and a socket, which stay', async () => {
    const folder = scene.project('special');
    execFileSync('mkfifo', [join(folder, 'fifo')]);
    const server = createServer().listen(join(folder, 'socket'));
    try {
      const { ended, row } = await scene.build(folder);
      expect(ended.code, words(ended)).toBe(0);
      if (row.decision === 'local') expect(row.reason).toMatch(/fifo|socket/i);
      expect(await scene.says(join(folder, 'x'))).toBe('42');
      expect(lstatSync(join(folder, 'fifo')).isFIFO()).toBe(true);
      expect(lstatSync(join(folder, 'socket')).isSocket()).toBe(true);
    } finally {
      server.close();
    }
  });

  it('carries names with newlines, quotes and bytes that are not UTF-8, both ways', async () => {
    const files: Files = {
      Makefile:
        'all:\n\t@mkdir -p out; for f in in/*; do cp "$$f" out/; done; printf "\\351\\n" > "$$(printf "out/\\351\\nnew")"\n',
    };
    const folder = scene.project('names', files);
    const make =
      'mkdir in; for n in "a\nb" "$(printf \'\\377\\376\')" "quo\'te\\"s" "\\$x" "-dash" " "; do printf %s "$n" > "in/$n"; done';
    const expected: string[] = [];
    for (const remote of [false, true]) {
      rmSync(folder, { recursive: true });
      scene.project('names', files);
      execFileSync('sh', ['-c', make], { cwd: folder });
      if (remote) await scene.buildsThere(folder);
      else expect((await scene.world.run(['make'], { cwd: folder, shims: false })).code).toBe(0);
      expected.push(contents(folder));
    }
    expect(expected[1]).toBe(expected[0]);
    expect(readdirSync(join(folder, 'out'))).toHaveLength(7);
  });

  it('carries a sparse file of 3 GB both ways, and keeps its holes', async () => {
    const folder = scene.project('sparse', {
      Makefile:
        'big: huge\n\ttail -c 4 huge > big\n\ttruncate -s 3G there\n\tprintf end >> there\n',
    });
    writeFileSync(join(folder, 'huge'), '');
    truncateSync(join(folder, 'huge'), 3 * 2 ** 30 - 4);
    execFileSync('sh', ['-c', 'printf last >> huge'], { cwd: folder });
    const ended = await within(
      scene.world.run(['make'], { cwd: folder, env: { RCH_FORCE_REMOTE: '1' } }),
      'the build',
      240_000,
    );
    expect(ended.code, words(ended)).toBe(0);
    const row = await scene.last();
    expect(row, row.reason).toMatchObject({ decision: 'remote' });
    const there = statSync(join(folder, 'there'));
    expect(there.size).toBe(3 * 2 ** 30 + 3);
    expect(there.blocks * 512).toBeLessThan(10_000_000);
    expect(execFileSync('cat', ['big'], { cwd: folder, encoding: 'utf8' })).toBe('last');
  });

  it('treats a project on a read-only mount as the tools do', async () => {
    const source = scene.project('read-only-source');
    const folder = join(scene.base, 'read-only');
    mkdirSync(folder);
    execFileSync('mount', ['--bind', source, folder]);
    execFileSync('mount', ['-o', 'remount,bind,ro', folder]);
    try {
      const real = await scene.world.run(['make'], { cwd: folder, shims: false });
      const { ended, row } = await scene.build(folder);
      expect(row.decision).toBe('local');
      expect(row.reason).toMatch(/cannot be written here/);
      expect([ended.code, ended.signal]).toEqual([real.code, real.signal]);
      expect(ended.code).not.toBe(0);
      expect(ended.stdout.toString()).toBe(real.stdout.toString());
      expect(ended.stderr.toString()).toBe(real.stderr.toString());
      expect(existsSync(join(source, 'x'))).toBe(false);
      expect(halves(source)).toEqual([]);
    } finally {
      execFileSync('umount', ['-l', folder]);
    }
  });
});
