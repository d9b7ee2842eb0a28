import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { allowedCpus } from '../../src/base/cpus.ts';
import { encode } from '../../src/protocol/codec.ts';
import { SHIM_PROTOCOL, shimMessages } from '../../src/protocol/shim.ts';
import { LauncherWorld, question, type Run } from './launcher-rig.ts';

async function outputOf(run: Run): Promise<string> {
  const end = await run.end;
  expect(end.stderr.toString()).toBe('');
  return end.stdout.toString();
}

describe.each(['plain', 'sanitized'] as const)(
  'a launcher that runs here (%s build)',
  (variant) => {
    let world: LauncherWorld;
    beforeEach(() => {
      world = new LauncherWorld(variant);
      writeFileSync(world.run('stopped'), '');
    });
    afterEach(async () => {
      await world.dispose();
    });

    it('becomes the next program of its name on PATH', async () => {
      expect(await outputOf(world.call('gcc', ['-c', 'a b']))).toBe('real gcc -c a b\n');
    });

    it('knows itself by device and inode: other links to it are passed over', async () => {
      const twin = join(world.root, 'twin');
      mkdirSync(twin);
      linkSync(join(world.home, 'lib', 'rch-shim'), join(twin, 'gcc'));
      const env = { PATH: `${world.shims}:${twin}:${world.bin}:/usr/bin:/bin` };
      expect(await outputOf(world.call('gcc', ['x'], { env }))).toBe('real gcc x\n');
    });

    it('passes over the launcher that an upgrade put in its place', async () => {
      const old = join(world.root, 'old');
      mkdirSync(old);
      const launcher = join(world.home, 'lib', 'rch-shim');
      linkSync(launcher, join(world.home, 'lib', 'rch-shim-old'));
      const copy = join(world.home, 'lib', 'new');
      copyFileSync(launcher, copy);
      rmSync(launcher);
      linkSync(copy, launcher);
      const env = { PATH: `${world.shims}:${world.bin}:/usr/bin:/bin` };
      const run = world.start(join(world.home, 'lib', 'rch-shim-old'), [], { env, argv0: 'gcc' });
      expect(await outputOf(run)).toBe('real gcc \n');
    });

    it('passes over folders and files that are not executable', async () => {
      const first = join(world.root, 'first');
      const second = join(world.root, 'second');
      mkdirSync(join(first, 'gcc'), { recursive: true });
      mkdirSync(second);
      writeFileSync(join(second, 'gcc'), '#!/bin/sh\necho no\n', { mode: 0o644 });
      const env = { PATH: `${world.shims}:${first}:${second}:${world.bin}:/usr/bin:/bin` };
      expect(await outputOf(world.call('gcc', [], { env }))).toBe('real gcc \n');
    });

    it('says like a shell that there is no such command', async () => {
      const end = await world.call('cc', [], { env: { PATH: world.shims } }).end;
      expect(end.code).toBe(127);
      expect(end.stderr.toString()).toMatch(/^cc: command not found \(rch: .*\)\n$/);
    });

    it('takes an empty entry of PATH for the current folder', async () => {
      world.tool('cc', 'echo here', world.root);
      const env = { PATH: `${world.shims}::/usr/bin` };
      expect(await outputOf(world.call('cc', [], { env }))).toBe('here\n');
    });

    it('looks in the usual folders when PATH is unset', async () => {
      const end = await world.call('cc', ['--version'], { env: { PATH: undefined } }).end;
      expect(end.stderr.toString()).toBe('');
      expect(end.code).toBe(0);
    });

    it('takes the shim folder off PATH, however it is written, and nothing else', async () => {
      world.tool('make', 'printf "%s\\n" "$PATH"');
      symlinkSync(world.shims, join(world.root, 'alias'));
      const rest = `${world.bin}::/usr/bin:/nowhere:/bin`;
      const env = { PATH: `${world.shims}/:${world.root}/alias:${rest}:${world.shims}` };
      expect(await outputOf(world.call('make', [], { env }))).toBe(`${rest}\n`);
    });

    it('leaves the environment alone but for PATH and its marker', async () => {
      world.tool(
        'make',
        'cat /proc/$$/environ | tr "\\0" "\\n" | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD=',
      );
      const env = { PATH: `${world.bin}:/usr/bin:/bin`, ODD: 'x\ny', EMPTY: '' };
      const text = await outputOf(world.call('make', [], { env }));
      expect(text).toMatch(/^RCH_SHIM=\d+:\d+:\/.+\/\w+$/m);
      expect(
        text
          .replace(/^RCH_SHIM=.*\n/m, '')
          .split('\n')
          .sort(),
      ).toEqual(`PATH=${env.PATH}\nHOME=${world.root}\nODD=x\ny\nEMPTY=\n`.split('\n').sort());
    });

    it('passes argv[0] as it was given', async () => {
      const tool = join(world.bin, 'gcc');
      rmSync(tool);
      copyFileSync('/bin/sh', tool);
      chmodSync(tool, 0o755);
      const run = world.call('gcc', ['-c', 'echo "$0"'], { argv0: 'gcc' });
      expect(await outputOf(run)).toBe('gcc\n');
    });

    it('replaces an argv[0] that is the path of the shim by the path of the tool', async () => {
      const tool = join(world.bin, 'gcc');
      rmSync(tool);
      copyFileSync('/bin/sh', tool);
      chmodSync(tool, 0o755);
      expect(await outputOf(world.call('gcc', ['-c', 'echo "$0"']))).toBe(`${tool}\n`);
    });

    it('goes by the file that was run, not by an odd argv[0]', async () => {
      expect(await outputOf(world.call('gcc', ['x'], { argv0: '-odd' }))).toBe('real gcc x\n');
    });

    it('follows a link of the user to a shim', async () => {
      symlinkSync(join(world.shims, 'gcc'), join(world.root, 'mycc'));
      expect(await outputOf(world.start(join(world.root, 'mycc'), ['x']))).toBe('real gcc x\n');
    });

    it('prints its usage when called by its own name', async () => {
      const end = await world.start(join(world.home, 'lib', 'rch-shim'), []).end;
      expect(end.code).toBe(2);
      expect(end.stderr.toString()).toMatch(/^usage: /);
    });

    it('runs a script without an interpreter line as a shell would', async () => {
      writeFileSync(join(world.bin, 'gcc'), 'echo "script $1 $2"\n', { mode: 0o755 });
      expect(await outputOf(world.call('gcc', ['a', 'b']))).toBe('script a b\n');
    });

    it('ends with 127 when the interpreter of the tool is missing', async () => {
      writeFileSync(join(world.bin, 'gcc'), '#!/nowhere/sh\n', { mode: 0o755 });
      const end = await world.call('gcc', []).end;
      expect(end.code).toBe(127);
      expect(end.stderr.toString()).toContain('required file not found');
    });

    it('ends with 126 when the tool is no program', async () => {
      writeFileSync(join(world.bin, 'gcc'), Buffer.from([1, 2, 0, 4]), { mode: 0o755 });
      expect((await world.call('gcc', []).end).code).toBe(126);
    });

    it('keeps signal mask, dispositions, umask and descriptors as they came', async () => {
      copyFileSync('/bin/cat', join(world.bin, 'make'));
      copyFileSync('/bin/ls', join(world.bin, 'gcc'));
      const state = async (folder: string): Promise<string[]> => {
        const before = 'umask 027; trap "" HUP USR1; exec 3</dev/null 7</dev/null';
        const status = world.line(`${before}; exec ${folder}/make /proc/self/status`);
        const descriptors = world.line(`${before}; exec ${folder}/gcc /proc/self/fd`);
        const lines = (await outputOf(status)).split('\n');
        return [
          ...lines.filter((line) =>
            /^(Umask|Sig(Blk|Ign|Cgt)|NoNewPrivs|Cpus_allowed):/.test(line),
          ),
          await outputOf(descriptors),
        ];
      };
      expect(await state(world.shims)).toEqual(await state(world.bin));
    });

    describe('with a daemon', () => {
      it.each([
        ['RCH_BYPASS', '1'],
        ['RCH_ENABLED', '0'],
        ['RCH_ENABLED', 'off'],
        ['RCH_BYPASS', 'please'],
        ['RCH_ON_WORKER', '1'],
      ])('does not ask it under %s=%s', async (name, value) => {
        const front = await world.listen('front.sock');
        expect(await outputOf(world.call('gcc', ['x'], { env: { [name]: value } }))).toBe(
          'real gcc x\n',
        );
        expect(front.count).toBe(0);
      });

      it.each([
        ['RCH_BYPASS', '0'],
        ['RCH_BYPASS', 'False'],
        ['RCH_BYPASS', ''],
        ['RCH_ENABLED', '1'],
        ['RCH_LOCAL_ONLY', '1'],
      ])('asks it under %s=%s', async (name, value) => {
        const front = await world.listen('front.sock');
        const run = world.call('gcc', ['x'], { env: { [name]: value } });
        const { peer, ask } = await question(front);
        expect(ask.env.map(String)).toContain(`${name}=${value}`);
        peer.send({ type: 'local', reason: 'test', notice: '', lease: 1n });
        expect(await outputOf(run)).toBe('real gcc x\n');
      });

      it('does not ask below a command that it runs already', async () => {
        const front = await world.listen('front.sock');
        world.tool(
          'make',
          `${join(world.shims, 'gcc')} nested; sh -c "${join(world.shims, 'gcc')} deep"`,
        );
        const run = world.call('make', []);
        const { peer } = await question(front);
        peer.send({ type: 'local', reason: 'test', notice: '', lease: 0n });
        expect(await outputOf(run)).toBe('real gcc nested\nreal gcc deep\n');
        expect(front.count).toBe(1);
      });

      it('asks again where the marked command is no ancestor any more', async () => {
        const front = await world.listen('front.sock');
        // As a tmux server does that was started below a build: it outlives the build and hands its environment on.
        world.tool(
          'make',
          `setsid sh -c 'read go < ${world.root}/go; exec ${world.shims}/gcc later' &`,
        );
        spawnSync('mkfifo', [join(world.root, 'go')]);
        const run = world.call('make', [], { stdio: ['ignore', 'pipe', 'pipe'] });
        const { peer } = await question(front);
        peer.send({ type: 'local', reason: 'test', notice: '', lease: 0n });
        await new Promise((resolve) => run.child.once('exit', resolve));
        writeFileSync(join(world.root, 'go'), 'go\n');
        const { peer: second, ask } = await question(front);
        expect(ask.argv.map(String).slice(1)).toEqual(['later']);
        second.send({ type: 'local', reason: 'test', notice: '', lease: 0n });
        expect(await outputOf(run)).toBe('real gcc later\n');
      });

      it('does not believe a marker with the pid of an ancestor but another start time', async () => {
        const front = await world.listen('front.sock');
        const run = world.call('gcc', ['x'], { env: { RCH_SHIM: `${process.pid}:1` } });
        const { peer } = await question(front);
        peer.send({ type: 'local', reason: 'test', notice: '', lease: 0n });
        expect(await outputOf(run)).toBe('real gcc x\n');
      });

      it('ends as if interrupted when it is cancelled in line, without a word and without the tool', async () => {
        const front = await world.listen('front.sock');
        const run = world.call('gcc', ['x']);
        const { peer } = await question(front);
        peer.send({ type: 'wait', text: 'in line' }, { type: 'exit', kind: 1, value: 2 });
        const nothing = Buffer.alloc(0);
        expect(await run.end).toEqual({
          ...{ code: null, signal: 'SIGINT', stdout: nothing, stderr: nothing },
        });
      });

      it('keeps to the CPUs that it is told, with all that it becomes', async () => {
        const front = await world.listen('front.sock');
        const allowed = 'grep Cpus_allowed_list: /proc/self/status';
        world.tool('gcc', allowed);
        const plain = spawnSync('sh', ['-c', allowed], { encoding: 'utf8' }).stdout;
        const first = Number(/\d+/.exec(plain)?.[0]);
        for (const [cpus, expected] of [
          [[first], `Cpus_allowed_list:\t${first}\n`],
          [[], plain],
          // None that there is: nothing changes.
          [[1023, 99_999], plain],
        ] as const) {
          const run = world.call('gcc', ['x']);
          const { peer } = await question(front);
          peer.send({ type: 'bind', cpus }, { type: 'local', reason: '', notice: '', lease: 1n });
          expect(await outputOf(run)).toBe(expected);
        }
      });

      it('leaves a caller the CPUs that it chose itself', async () => {
        const front = await world.listen('front.sock');
        world.tool('gcc', 'grep Cpus_allowed_list: /proc/self/status');
        const [first = 0] = allowedCpus();
        const last = allowedCpus().at(-1) ?? 0;
        const run = world.line(`exec taskset -c ${last} gcc x`);
        const { peer } = await question(front);
        const answer = { type: 'local', reason: '', notice: '', lease: 1n } as const;
        peer.send({ type: 'bind', cpus: [first] }, answer);
        expect(await outputOf(run)).toBe(`Cpus_allowed_list:\t${last}\n`);
      });

      it('shows a notice of the answer', async () => {
        const front = await world.listen('front.sock');
        const run = world.call('gcc', ['x']);
        const { peer } = await question(front);
        peer.send({ type: 'local', reason: 'test', notice: 'rch: here, because', lease: 0n });
        const end = await run.end;
        expect(end.stderr.toString()).toBe('rch: here, because\n');
        expect(end.stdout.toString()).toBe('real gcc x\n');
      });

      it('runs here when a daemon answers garbage, an unknown message, or closes', async () => {
        const front = await world.listen('front.sock');
        for (const bytes of [
          Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
          Buffer.from([1, 0, 0, 0, 250]),
          Buffer.from([0, 0, 0, 0]),
          Buffer.from([3, 0, 0, 0, 19, 1, 2]),
          Buffer.from([255, 255, 255, 255]),
          Buffer.alloc(0),
        ]) {
          const run = world.call('gcc', ['x']);
          const peer = await front.accept();
          await peer.next('ask');
          peer.socket.end(bytes);
          expect(await outputOf(run)).toBe('real gcc x\n');
        }
      });

      it('gives up a daemon that is silent, and leaves it alone for a while', async () => {
        const front = await world.listen('front.sock');
        const before = Date.now();
        expect(await outputOf(world.call('gcc', ['one']))).toBe('real gcc one\n');
        expect(Date.now() - before).toBeGreaterThanOrEqual(250);
        expect(existsSync(world.run('hung'))).toBe(true);
        expect(await outputOf(world.call('gcc', ['two']))).toBe('real gcc two\n');
        expect(front.count).toBe(1);
        utimesSync(world.run('hung'), new Date(before - 11_000), new Date(before - 11_000));
        const run = world.call('gcc', ['three']);
        const { peer } = await question(front);
        peer.send({ type: 'local', reason: '', notice: '', lease: 0n });
        expect(await outputOf(run)).toBe('real gcc three\n');
      });

      it('waits for a daemon that is at work on a busy machine', async () => {
        const answer = { type: 'local', reason: '', notice: 'it answered', lease: 0n } as const;
        const busy = world.start('python3', [
          '-c',
          `import socket,sys,time
s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(8); print("up",flush=True)
k,_=s.accept(); end=time.time()+0.8
while time.time()<end: pass
k.sendall(bytes.fromhex(sys.argv[2])); sys.stdin.read()`,
          world.run('front.sock'),
          encode(shimMessages, answer).toString('hex'),
        ]);
        await busy.sees('up');
        const end = await world.call('gcc', ['x'], { env: { RCH_VERBOSE: '1' } }).end;
        expect(end.stdout.toString()).toBe('real gcc x\n');
        expect(end.stderr.toString()).toContain('it answered');
        expect(existsSync(world.run('hung'))).toBe(false);
        busy.child.stdin?.end();
        await busy.end;
      });

      it.each(['RCH_FORCE_REMOTE=1', 'RCH_WORKER=w'])(
        'waits longer for a daemon that only sleeps where the caller insists: %s',
        async (setting) => {
          const front = await world.listen('front.sock');
          const [name = '', value] = setting.split('=');
          const run = world.call('gcc', ['x'], { env: { [name]: value, RCH_VERBOSE: '1' } });
          const peer = await front.accept();
          await peer.next('ask');
          await new Promise((resolve) => {
            setTimeout(resolve, 700);
          });
          peer.send({ type: 'local', reason: '', notice: 'it answered', lease: 0n });
          const end = await run.end;
          expect(end.stdout.toString()).toBe('real gcc x\n');
          expect(end.stderr.toString()).toContain('it answered');
        },
      );

      it('never blocks on a stopped daemon whose queue is full', async () => {
        const hang = world.start('python3', [
          '-c',
          `import socket,sys,time
s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(0)
c=[]
try:
  while True:
    k=socket.socket(socket.AF_UNIX); k.setblocking(False); k.connect(sys.argv[1]); c.append(k)
except BlockingIOError: pass
print("full",flush=True); sys.stdin.read()`,
          world.run('front.sock'),
        ]);
        await hang.sees('full');
        expect(await outputOf(world.call('gcc', ['x']))).toBe('real gcc x\n');
        expect(existsSync(world.run('hung'))).toBe(true);
        hang.child.stdin?.end();
        await hang.end;
      });

      it('trusts no run folder that is open to others', async () => {
        const front = await world.listen('front.sock');
        chmodSync(join(world.home, 'run'), 0o750);
        expect(await outputOf(world.call('gcc', ['x']))).toBe('real gcc x\n');
        expect(front.count).toBe(0);
      });

      it('reaches a socket whose path is too long for an address', async () => {
        const deep = join(world.root, 'd'.repeat(120));
        mkdirSync(deep);
        spawnSync('mv', [world.home, join(deep, 'home')]);
        const run = join(deep, 'home', 'run');
        const front = world.start(process.execPath, [
          '-e',
          `process.chdir(${JSON.stringify(run)});
         require('net').createServer(s=>{console.log('asked');s.on('error',()=>{});s.end();}).listen('front.sock',()=>console.log('listening'))`,
        ]);
        await front.sees('listening');
        const shim = join(deep, 'home', 'shims', 'gcc');
        const env = { PATH: `${world.bin}:/usr/bin:/bin` };
        expect(await outputOf(world.start(shim, ['x'], { env }))).toBe('real gcc x\n');
        await front.sees('asked');
        front.child.kill('SIGKILL');
        await front.end;
      });

      it('asks with everything about the call', async () => {
        const front = await world.listen('front.sock');
        const cwd = join(world.root, 'a b');
        mkdirSync(cwd);
        const run = world.line(
          `cd 'a b'; umask 027; exec gcc -c $'\\xff\\n' '' < /dev/null 2> ../err 3>&1`,
        );
        const { peer, ask } = await question(front);
        const start = readFileSync(`/proc/${run.pid}/stat`, 'latin1')
          .split(') ')[1]
          ?.split(' ')[19];
        expect(ask).toMatchObject({
          protocol: SHIM_PROTOCOL,
          version: '0.0.0-test',
          pid: run.pid,
          ppid: process.pid,
          startTime: BigInt(start ?? 0),
          tool: Buffer.from('gcc'),
          real: Buffer.from(join(world.bin, 'gcc')),
          shimDir: Buffer.from(world.shims),
          cwd: Buffer.from(cwd),
          umask: 0o027,
          inKind: 4,
          outKind: 5,
          errKind: 3,
          rows: 0,
          termios: Buffer.alloc(0),
        });
        expect(ask.argv.map((item) => item.toString('latin1'))).toEqual([
          'gcc',
          '-c',
          '\xff\n',
          '',
        ]);
        expect(ask.errIno).toBe(BigInt(statSync(join(world.root, 'err')).ino));
        expect(ask.rlimits.length).toBe(16 * 16);
        expect(ask.signals.length).toBe(16);
        peer.send({ type: 'local', reason: '', notice: '', lease: 0n });
        await run.end;
      });

      it('leaves no descriptor and no lock to the tool', async () => {
        const front = await world.listen('front.sock');
        copyFileSync('/bin/ls', join(world.bin, 'gcc'));
        const run = world.call('gcc', ['/proc/self/fd']);
        const { peer } = await question(front);
        peer.send({ type: 'local', reason: '', notice: '', lease: 0n });
        const direct = await outputOf(world.start(join(world.bin, 'gcc'), ['/proc/self/fd']));
        expect(await outputOf(run)).toBe(direct);
      });
    });
  },
);
