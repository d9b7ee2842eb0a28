/** What a job sees of the worker: its roots at the caller's paths, and of everything else only to read. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MountFlag, type RunSpec } from '../../src/protocol/run.ts';
import {
  bytes,
  compileRun,
  type Mount,
  mounts,
  openFolder,
  readOnly,
  RunJob,
  specOf,
  standIns,
} from './run-rig.ts';

const root = process.getuid?.() === 0;
const nobody = 65534;
let folder = '';
let binary = '';
let onOldLinux = '';

beforeAll(() => {
  folder = openFolder();
  binary = compileRun(folder, 'plain');
  onOldLinux = compileRun(folder, 'old');
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Who runs the worker's agent: this user, and, where this is root, an unprivileged one. */
const workers: readonly [string, number | undefined, () => string][] = [
  ['this user', undefined, () => binary],
  ['this user, on Linux before 5.12', undefined, () => onOldLinux],
  ['an unprivileged user', nobody, () => binary],
  ['an unprivileged user, on Linux before 5.12', nobody, () => onOldLinux],
];

for (const [name, uid, program] of workers)
  describe.skipIf(uid !== undefined && !root)(`on a worker of ${name}`, () => {
    /** A source folder that belongs to the worker's user. */
    const source = (files: Record<string, string>, above = folder): string => {
      const made = mkdtempSync(join(above, 'source-'));
      for (const [name, content] of Object.entries(files)) {
        mkdirSync(join(made, name, '..'), { recursive: true });
        writeFileSync(join(made, name), content);
      }
      if (uid !== undefined) execFileSync('chown', ['-R', `${uid}:${uid}`, made]);
      return made;
    };
    const run = async (
      script: string,
      list: readonly Mount[] = [],
      changes: Partial<RunSpec> = {},
    ): Promise<{ code: number; text: string; error: string }> => {
      const job = new RunJob({
        binary: program(),
        spec: specOf(script, { ...mounts(list), ...changes }),
        ...(uid === undefined ? {} : { uid }),
      });
      const code = await job.code();
      return { code, text: job.text(), error: job.text(2) };
    };

    test('a root stands at a path that this machine does not have, and is written through', async () => {
      const tree = source({ 'a/b': 'content' });
      const target = '/nowhere/on/this machine/tree';
      const done = await run(
        'pwd; cat a/b; echo new > made; rm a/b; mkdir empty',
        [{ source: tree, target }],
        { cwd: bytes(target) },
      );
      expect(done).toEqual({ code: 0, text: `${target}\ncontent`, error: '' });
      expect(readFileSync(join(tree, 'made'), 'utf8')).toBe('new\n');
      expect(readdirSync(tree).sort()).toEqual(['a', 'empty', 'made']);
      expect(readdirSync(join(tree, 'a'))).toEqual([]);
      expect(existsSync('/nowhere')).toBe(false);
    });

    test('what else stands beside a root in a folder of the worker stays visible, and nothing is made there', async () => {
      const tree = source({ file: 'x' });
      const before = readdirSync('/usr/share').sort();
      const done = await run(
        'cat /usr/share/rch-test/deep/er/file; ls /usr/share; readlink /usr/share/rch-test/none; touch /usr/share/new',
        [{ source: tree, target: '/usr/share/rch-test/deep/er' }],
      );
      expect(done.text.startsWith('x')).toBe(true);
      const seen = done.text.slice(1).trim().split('\n').sort();
      expect(seen).toEqual([...before, 'rch-test'].sort());
      expect(done.error).toMatch(/Read-only file system/);
      expect(readdirSync('/usr/share').sort()).toEqual(before);
    });

    test('a root at a folder that the worker has covers that folder alone', async () => {
      const tree = source({ file: 'mine' });
      const done = await run('ls /usr/share/doc; ls -d /usr/share/man', [
        { source: tree, target: '/usr/share/doc' },
      ]);
      expect(done.text).toBe('file\n/usr/share/man\n');
    });

    test('a read-only root cannot be written, remounted, or uncovered', async () => {
      const tree = source({ file: 'x' });
      const target = '/work/toolchain';
      const script = [
        'touch new; echo y > file; rm -f file',
        'mount -o remount,rw,bind . ; umount . ; mount --bind /tmp . ',
        'unshare -Urm sh -c "mount -o remount,rw,bind /work/toolchain; echo z > /work/toolchain/file; umount /work/toolchain"',
        'cat file; mount | grep " /work/toolchain " | grep -c "(ro"',
      ].join('\n');
      const done = await run(script, [{ source: tree, target, flags: readOnly }], {
        cwd: bytes(target),
      });
      expect(done.text).toBe('x1\n');
      expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('x');
      expect(readdirSync(tree)).toEqual(['file']);
    });

    test('a caller who is root has power over files but not over mounts', async () => {
      const tree = source({ file: 'x' });
      chmodSync(join(tree, 'file'), 0o400);
      const done = await run(
        'whoami; echo y > file; chown root:root file; cat file; mount -o remount,rw,bind /usr && echo mounted; umount /proc && echo uncovered; mount -t tmpfs none /mnt && echo made',
        [{ source: tree, target: '/work/p' }],
        {
          uid: 0,
          gid: 0,
          cwd: bytes('/work/p'),
          ...standIns({
            '/etc/passwd': 'root:x:0:0:root:/root:/bin/sh\n',
            '/etc/group': 'root:x:0:\n',
          }),
        },
      );
      expect(done.text).toBe('root\ny\n');
    });

    test("the host name and what stands in for files are the job's alone, a symlink there taken away", async () => {
      const [link] = readdirSync('/etc', { withFileTypes: true })
        .filter((entry) => entry.isSymbolicLink() && existsSync(`/etc/${entry.name}`))
        .map(({ name }) => name)
        .filter((name) => statSync(`/etc/${name}`).isFile());
      if (link === undefined) throw new Error('no symlink to a file in /etc');
      const before = readFileSync(`/etc/${link}`);
      const done = await run(
        `uname -n; cat /etc/${link} /etc/made-up; stat -c %F /etc/${link}; cmp /etc/fstab /etc/fstab; cat ${realpathSync(`/etc/${link}`)} | cksum`,
        [],
        {
          host: bytes('engine'),
          ...standIns({ [`/etc/${link}`]: 'content\n', '/etc/made-up': 'new\n' }),
        },
      );
      const sum = execFileSync('cksum', { input: before, encoding: 'utf8' });
      expect(done.text).toBe(`engine\ncontent\nnew\nregular file\n${sum}`);
      expect(readFileSync(`/etc/${link}`)).toEqual(before);
      expect(hostname()).not.toBe('engine');
    });

    test('homes, /tmp and the mounts below them are not seen but for the roots', async () => {
      const tree = source({ file: 'x' });
      const hidden = `/tmp/rch-hidden-${process.pid}`;
      writeFileSync(hidden, '');
      const done = await run('ls -A /home /root /tmp /home/ada; cat /home/ada/p/file', [
        { source: tree, target: '/home/ada/p' },
      ]);
      rmSync(hidden);
      expect(done.text).toBe('/home:\nada\n\n/home/ada:\np\n\n/root:\n\n/tmp:\nx');
    });

    test('the home of a caller whom the worker does not know is there, and empty', async () => {
      const homes = ['/home/ada', '/home', '/export/homes/ada'];
      const done = await run('cd /home/ada && ls -A . /export/homes /export/homes/ada', [], {
        hide: homes.map(bytes),
      });
      expect(done.text).toBe('.:\n\n/export/homes:\nada\n\n/export/homes/ada:\n');
    });

    test('homes are read-only, /tmp is not, and leaves nothing here', async () => {
      const name = `rch-private-${process.pid}`;
      const done = await run(
        `touch /home/x /home/ada/x /root/x; touch /tmp/${name} /var/tmp/${name} /dev/shm/${name} && echo made`,
        [{ source: source({}), target: '/home/ada/p' }],
      );
      expect(done.text).toBe('made\n');
      expect(done.error.match(/Read-only|denied/g)).toHaveLength(3);
      for (const place of ['/tmp', '/var/tmp', '/dev/shm'])
        expect(existsSync(join(place, name))).toBe(false);
    });

    test('/tmp may be a folder that keeps what the job leaves', async () => {
      const kept = source({ before: '' });
      const done = await run('ls /tmp; echo y > /tmp/left', [{ source: kept, target: '/tmp' }]);
      expect(done.text).toBe('before\n');
      expect(readFileSync(join(kept, 'left'), 'utf8')).toBe('y\n');
    });

    test('a source may lie below a hidden folder, and its way there stays hidden', async () => {
      const below = uid === undefined ? homedir() : folder;
      const tree = source({ file: 'x' }, below);
      const done = await run(
        `cat /home/ada/p/file; ls -A ${below}`,
        [{ source: tree, target: '/home/ada/p' }],
        { hide: [bytes('/home'), bytes('/root'), bytes('/tmp'), bytes(below)] },
      );
      rmSync(tree, { recursive: true });
      expect(done.text).toBe('x');
    });

    test('a root may stand below another, in files and in fresh tmpfs mounts too', async () => {
      const outer = source({ 'inner/hidden': '', file: 'outer' });
      const inner = source({ file: 'inner' });
      const single = source({ one: 'single' });
      const done = await run(
        'cat file inner/file /etc/rch.conf; touch inner/x; touch fresh/y; ls -A inner fresh',
        [
          { source: outer, target: '/work/p' },
          { source: inner, target: '/work/p/inner', flags: readOnly },
          {
            source: join(single, 'one'),
            target: '/etc/rch.conf',
            flags: MountFlag.file | readOnly,
          },
          { source: '', target: '/work/p/fresh', flags: MountFlag.tmpfs },
        ],
        { cwd: bytes('/work/p') },
      );
      expect(done.text).toBe('outerinnersinglefresh:\ny\n\ninner:\nfile\n');
      expect(done.error).toMatch(/inner\/x.*Read-only/);
      expect(existsSync('/etc/rch.conf')).toBe(false);
    });

    test('symbolic links of the worker on the way to a target are followed', async () => {
      const tree = source({ file: 'x' });
      const real = source({});
      symlinkSync('sub/dir', join(real, 'link'));
      mkdirSync(join(real, 'sub/dir'), { recursive: true });
      if (uid !== undefined) {
        chownSync(join(real, 'sub'), uid, uid);
        chownSync(join(real, 'sub/dir'), uid, uid);
      }
      const done = await run(
        'cat /work/p/link/root/file /work/p/sub/dir/root/file /var/run/rch-root/file',
        [
          { source: real, target: '/work/p' },
          { source: tree, target: '/work/p/link/root' },
          { source: tree, target: '/var/run/rch-root' },
        ],
      );
      expect(done).toEqual({ code: 0, text: 'xxx', error: '' });
    });

    test("the caller's name and group are known, whoever runs the worker", async () => {
      const done = await run(
        'id -u; id -g; whoami; id -gn; stat -c %U:%G .; touch made; stat -c %u made',
        [{ source: source({}), target: '/work/p' }],
        { cwd: bytes('/work/p') },
      );
      expect(done).toEqual({ code: 0, text: '1815\n1815\nada\nadas\nada:adas\n1815\n', error: '' });
    });

    test('namespaces can be made inside: user, mount, PID with a /proc of its own, and overlays', async () => {
      const done = await run(
        [
          'unshare -Ur true && echo user',
          'unshare -Urm sh -c "mount -t tmpfs none /mnt && echo mount"',
          'unshare -Urpf --mount-proc sh -c "echo pid \\$\\$; ls /proc | grep -c ^[0-9]"',
          'unshare -Urn true && echo net',
        ].join('\n'),
      );
      expect(done.error).toBe('');
      expect(done.text).toMatch(/^user\nmount\npid 1\n[1-9]\nnet\n$/);
    });

    test('the devices of every day are there, and no others', async () => {
      const done = await run(
        'head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; echo x > /dev/null; ls /dev | tr "\\n" " "; echo y | cat /dev/stdin',
      );
      expect(done).toEqual({
        code: 0,
        text: '3\n3\nfd full null ptmx pts random shm stderr stdin stdout tty urandom zero y\n',
        error: '',
      });
    });

    test.skipIf(!existsSync('/proc/sys/kernel/ns_last_pid'))(
      'each job has process ids of its own, so that what is named by them is another file in each',
      async () => {
        const all = await Promise.all([1, 2, 3].map(() => run('echo $$')));
        expect(new Set(all.map(({ text }) => Number(text))).size).toBe(3);
      },
    );

    test('only processes of the job are seen', async () => {
      const done = await run(
        'ls -d /proc/[0-9]* | wc -l; kill -0 ' + String(process.pid) + ' || true',
      );
      expect(Number(done.text)).toBeLessThan(6);
    });

    test('without network there is a loopback and nothing else', async () => {
      const done = await run('cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d " "', [], {
        network: false,
      });
      expect(done.text.split('\n').filter((line) => /^(eth|en|wl)/.test(line))).toEqual([]);
      expect(done.text).toContain('lo');
    });

    test('a job leaves no mount and no folder on the worker', async () => {
      const before = [readFileSync('/proc/self/mounts', 'latin1'), readdirSync('/').sort()];
      await run('true', [{ source: source({}), target: '/nowhere/p' }]);
      expect([readFileSync('/proc/self/mounts', 'latin1'), readdirSync('/').sort()]).toEqual(
        before,
      );
    });

    test('a source that is missing is named', async () => {
      const job = new RunJob({
        binary: program(),
        spec: specOf('true', mounts([{ source: '/no/such/source', target: '/work/p' }])),
        ...(uid === undefined ? {} : { uid }),
      });
      const last = await job.end();
      expect(last).toMatchObject({ type: 'failed', stage: 'source', error: 2 });
      expect(last.type === 'failed' && last.message).toContain('/no/such/source');
    });

    test('the probe tells that all this can be done', () => {
      const told = execFileSync(program(), ['probe'], uid === undefined ? {} : { uid, gid: uid });
      expect(JSON.parse(told.toString())).toEqual({ namespaces: true, stage: '', error: '' });
    });
  });

/** A world in which its root may make every namespace but a user namespace, as in a chroot or by sysctl. */
const noUserNamespaces = (then: string): string[] => [
  'unshare',
  '-Ur',
  'sh',
  '-c',
  `echo 0 > /proc/sys/user/max_user_namespaces && exec ${then} "$0" "$@"`,
];

test('root without user namespaces runs the tool as uid 0, with no power over mounts', async () => {
  const job = new RunJob({
    binary,
    under: noUserNamespaces(''),
    spec: specOf(
      'id -u; touch /usr/x; mount -o remount,rw,bind /usr || umount /proc || echo none; echo made > /tmp/x && cat /tmp/x; ls -A /home',
      mounts([{ source: folder, target: '/home/ada/p', flags: readOnly }]),
    ),
  });
  expect(await job.code()).toBe(0);
  expect(job.text()).toBe('0\nnone\nmade\nada\n');
  expect(job.text(2)).toMatch(/Read-only file system/);
});

test('the probe names the step that fails, and a job says the same', async () => {
  const under = noUserNamespaces('setpriv --bounding-set=-all --inh-caps=-all');
  const [program = '', ...rest] = under;
  const told = execFileSync(program, [...rest, binary, 'probe']);
  const answer = JSON.parse(told.toString()) as { error: string };
  expect(answer).toMatchObject({ namespaces: false, stage: 'unshare' });
  expect(answer.error).toMatch(/cannot make namespaces: /);
  const job = new RunJob({ binary, under, spec: specOf('true') });
  expect(await job.end()).toMatchObject({ type: 'failed', stage: 'unshare' });
});
