import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { allowedCpus } from '../../src/base/cpus.ts';
import {
  exited,
  jobId,
  LauncherWorld,
  out,
  question,
  remoteTo,
  started,
  type Listener,
  type Peer,
} from './launcher-rig.ts';

describe.each(['plain', 'sanitized'] as const)(
  'a launcher of a remote job (%s build)',
  (variant) => {
    let world: LauncherWorld;
    let front: Listener;
    let link: Listener;
    beforeEach(async () => {
      world = new LauncherWorld(variant);
      front = await world.listen('front.sock');
      link = await world.listen('link-w.sock');
    });
    afterEach(async () => {
      await world.dispose();
    });

    /** Sends `data` on a stream as an agent would: never more than 4 MiB beyond what was acknowledged. */
    async function stream(
      peer: Peer,
      number: number,
      data: Buffer,
      full: (acked: number) => void = () => undefined,
    ): Promise<void> {
      let acked = 0;
      for (let at = 0; at < data.length;) {
        while (at - acked > (4 << 20) - (1 << 16)) {
          for (const message of peer.pending)
            if (message.type === 'outAck') acked = Number(message.offset);
          full(acked);
          acked = Number((await peer.next('outAck')).offset);
        }
        const piece = data.subarray(at, at + (1 << 16));
        peer.send(out(number, at, piece));
        at += piece.length;
      }
    }

    describe('before the tool has started', () => {
      it('commits on the link and ends as the tool ended', async () => {
        const run = world.call('gcc', ['x']);
        const { peer: asker } = await question(front);
        asker.send({ type: 'wait', text: 'queued' }, remoteTo(world));
        const peer = await link.accept();
        expect((await peer.next('commit')).job).toEqual(jobId);
        await asker.closed;
        peer.send({ type: 'started' }, out(1, 0, 'remote out'), out(2, 0, 'remote err'), exited(7));
        expect(await run.end).toEqual({
          code: 7,
          signal: null,
          stdout: Buffer.from('remote out'),
          stderr: Buffer.from('remote err'),
        });
      });

      it('runs here when the link says so', async () => {
        const run = world.call('gcc', ['x']);
        const { peer: asker } = await question(front);
        asker.send(remoteTo(world));
        const peer = await link.accept();
        await peer.next('commit');
        peer.send({ type: 'local', reason: 'r', notice: '', lease: 0n });
        expect((await run.end).stdout.toString()).toBe('real gcc x\n');
        await peer.closed;
      });

      it('asks once more when the link closes, talks nonsense, or is not there', async () => {
        const answers: ((peer: Peer) => void)[] = [
          (peer) => peer.socket.end(),
          (peer) => peer.socket.end(Buffer.from('nonsense, and more of it')),
          (peer) => {
            peer.send(exited(0));
          },
          (peer) => {
            peer.send({ type: 'lost', text: 't' });
          },
        ];
        for (const answer of answers) {
          const run = world.call('gcc', ['x']);
          const { peer: asker } = await question(front);
          asker.send(remoteTo(world));
          const peer = await link.accept();
          await peer.next('commit');
          answer(peer);
          const { peer: again } = await question(front);
          await peer.closed;
          again.send({ type: 'local', reason: 'r', notice: '', lease: 1n });
          expect((await run.end).stdout.toString()).toBe('real gcc x\n');
        }
        const run = world.call('gcc', ['x']);
        const { peer: asker } = await question(front);
        const nowhere = { ...remoteTo(world), socket: Buffer.from(world.run('link-none.sock')) };
        asker.send(nowhere);
        const { peer: again } = await question(front);
        again.send(remoteTo(world));
        const peer = await link.accept();
        await peer.next('commit');
        peer.send({ type: 'started' }, exited(3));
        expect((await run.end).code).toBe(3);
      });

      it('runs here by itself after the second lost link, and without a front', async () => {
        const run = world.call('gcc', ['x']);
        for (const times of [1, 2]) {
          const { peer: asker } = await question(front);
          asker.send(remoteTo(world));
          const peer = await link.accept();
          await peer.next('commit');
          peer.socket.end();
          expect(front.count).toBe(times);
        }
        expect((await run.end).stdout.toString()).toBe('real gcc x\n');
        const alone = world.call('gcc', ['y']);
        const { peer: asker } = await question(front);
        asker.send(remoteTo(world));
        const peer = await link.accept();
        await peer.next('commit');
        await front.close();
        peer.socket.end();
        expect((await alone.end).stdout.toString()).toBe('real gcc y\n');
      });

      it('keeps to the CPUs that a link tells it of before it runs here', async () => {
        world.tool('gcc', 'grep Cpus_allowed_list: /proc/self/status');
        const run = world.call('gcc', ['x']);
        const { peer: asker } = await question(front);
        asker.send(remoteTo(world));
        const peer = await link.accept();
        await peer.next('commit');
        const [cpu = 0] = allowedCpus();
        const answer = { type: 'local', reason: 'r', notice: '', lease: 0n } as const;
        peer.send({ type: 'bind', cpus: [cpu] }, answer);
        expect((await run.end).stdout.toString()).toBe(`Cpus_allowed_list:\t${cpu}\n`);
      });

      it('has consumed nothing of standard input when it runs here after all', async () => {
        world.tool('gcc', 'cat');
        const run = world.line('printf "all of it" | gcc x');
        const { peer: asker } = await question(front);
        asker.send(remoteTo(world));
        const peer = await link.accept();
        await peer.next('commit');
        peer.send({ type: 'local', reason: 'r', notice: '', lease: 0n });
        expect((await run.end).stdout.toString()).toBe('all of it');
      });

      it('dies of a signal by default, which closes the connection', async () => {
        const run = world.call('gcc', ['x']);
        const { peer: asker } = await question(front);
        asker.send(remoteTo(world));
        const peer = await link.accept();
        await peer.next('commit');
        process.kill(run.pid, 'SIGTERM');
        expect((await run.end).signal).toBe('SIGTERM');
        await peer.closed;
      });

      it('prints a notice that was asked for, and keeps quiet otherwise', async () => {
        const run = world.call('gcc', ['x']);
        const { peer: asker } = await question(front);
        asker.send({ type: 'wait', text: 'not on a pipe' }, remoteTo(world));
        const peer = await link.accept();
        peer.send(
          { type: 'notice', text: 'not on a pipe', always: false },
          { type: 'notice', text: 'rch: asked for\n', always: true },
          { type: 'started' },
          exited(0),
        );
        expect((await run.end).stderr.toString()).toBe('rch: asked for\n');
      });

      it('runs here when a lock is busy, and holds none then', async () => {
        const path = join(world.root, 'lock');
        const holder = world.start('flock', [path, 'sh', '-c', 'echo held; read x']);
        await holder.sees('held');
        world.tool('gcc', `flock -n ${world.root}/other echo free`);
        const run = world.call('gcc', ['x']);
        const { peer: asker } = await question(front);
        asker.send(remoteTo(world, [join(world.root, 'other'), path]));
        expect((await run.end).stdout.toString()).toBe('free\n');
        expect(link.count).toBe(0);
        holder.child.stdin?.end();
        await holder.end;
      });

      it('takes more locks when the link asks for them, or runs here when one is busy', async () => {
        const path = join(world.root, 'later');
        world.tool('gcc', `flock -n ${path} echo free || echo busy`);
        const ask = async (): Promise<ReturnType<typeof world.call>> => {
          const run = world.call('gcc', ['x']);
          const { peer: asker } = await question(front);
          asker.send(remoteTo(world));
          return run;
        };
        const first = await ask();
        const holder = await link.accept();
        await holder.next('commit');
        holder.send({ type: 'lock', locks: [Buffer.from(path)] });
        await holder.next('locked');
        const second = await ask();
        const waiting = await link.accept();
        await waiting.next('commit');
        waiting.send({ type: 'lock', locks: [Buffer.from(path)] });
        expect((await second.end).stdout.toString()).toBe('busy\n');
        await waiting.closed;
        holder.send({ type: 'starting', resumeSec: 60 }, { type: 'started' }, exited(0));
        expect((await first.end).code).toBe(0);
      });

      it('holds the locks while the job lasts, makes the target folder as cargo does, and skips the rest', async () => {
        const locks = [
          'target/debug/.cargo-lock',
          'target/riscv/debug/.cargo-lock',
          'nowhere/target/debug/.cargo-lock',
        ].map((name) => join(world.root, name));
        const run = world.call('gcc', ['x']);
        const { peer: asker } = await question(front);
        asker.send(remoteTo(world, locks));
        const peer = await link.accept();
        await peer.next('commit');
        const lock = locks[0] ?? '';
        const test = (): Promise<number | null> =>
          world.start('flock', ['-n', lock, 'true']).end.then((end) => end.code);
        expect(await test()).toBe(1);
        // To the byte what cargo 1.95 writes.
        for (const folder of ['target', 'target/riscv'])
          expect(readFileSync(join(world.root, folder, 'CACHEDIR.TAG'), 'utf8')).toBe(
            'Signature: 8a477f597d28d172789f06886806bc55\n' +
              '# This file is a cache directory tag created by cargo.\n' +
              '# For information about cache directory tags see https://bford.info/cachedir/\n',
          );
        expect(existsSync(join(world.root, 'nowhere'))).toBe(false);
        peer.send({ type: 'started' }, exited(0));
        await run.end;
        expect(await test()).toBe(0);
      });

      it('runs the command of `first` on the caller’s descriptors and reports its end', async () => {
        const fetch = world.tool('fetch', 'echo "fetch $*"; read x; echo "got $x" >&2');
        const run = world.line('echo line | gcc x');
        const { peer: asker } = await question(front);
        asker.send({
          type: 'first',
          path: Buffer.from(fetch),
          argv: ['fetch', 'a b'].map((word) => Buffer.from(word)),
          mayFail: false,
        });
        expect(await asker.next('firstDone')).toMatchObject({ kind: 0, value: 0 });
        asker.send({ type: 'local', reason: '', notice: '', lease: 0n });
        const end = await run.end;
        expect(end.stdout.toString()).toBe('fetch a b\nreal gcc x\n');
        expect(end.stderr.toString()).toBe('got line\n');
      });

      it('ends as `first` ended when that failed, even where children are ignored', async () => {
        const fetch = world.tool('fetch', 'exit 9');
        const crash = world.tool('crash', 'kill -9 $$');
        for (const [path, code, signal] of [
          [fetch, 9, null],
          [crash, null, 'SIGKILL'],
        ] as const) {
          const run = world.line(`trap '' CHLD; exec gcc x`);
          const { peer: asker } = await question(front);
          const argv = [Buffer.from('fetch')];
          asker.send({ type: 'first', path: Buffer.from(path), argv, mayFail: false });
          await asker.next('firstDone');
          expect(await run.end).toMatchObject({ code, signal });
        }
      });

      it('goes on after a `first` that failed and may, but for one that a signal ended', async () => {
        for (const [script, stdout, signal] of [
          ['exit 9', 'real gcc x\n', null],
          ['kill -INT $$', '', 'SIGINT'],
        ] as const) {
          const path = Buffer.from(world.tool('fetch', script));
          const run = world.call('gcc', ['x']);
          const { peer: asker } = await question(front);
          asker.send({ type: 'first', path, argv: [Buffer.from('fetch')], mayFail: true });
          await asker.next('firstDone');
          if (signal === null) asker.send({ type: 'local', reason: '', notice: '', lease: 0n });
          const end = await run.end;
          expect([end.stdout.toString(), end.signal]).toEqual([stdout, signal]);
        }
      });
    });

    describe('with its output', () => {
      it('keeps bytes exact on two pipes', async () => {
        const [one, two] = [randomBytes(300_000), randomBytes(200_000)];
        const run = world.line(
          '{ { gcc x 2>&3; echo $? > code; } | cat > one; } 3>&1 | cat > two; cat code',
        );
        const { peer } = await started(world, front, link);
        await Promise.all([stream(peer, 1, one), stream(peer, 2, two)]);
        peer.send(exited(3));
        expect((await run.end).stdout.toString()).toBe('3\n');
        expect(readFileSync(join(world.root, 'one')).equals(one)).toBe(true);
        expect(readFileSync(join(world.root, 'two')).equals(two)).toBe(true);
      });

      it('says that 1 and 2 are one pipe, and writes there in order', async () => {
        const run = world.line('gcc x 2>&1 | cat');
        const { peer, ask } = await started(world, front, link);
        expect([ask.outDev, ask.outIno]).toEqual([ask.errDev, ask.errIno]);
        peer.send(out(1, 0, 'a'), out(2, 0, 'b'), out(1, 1, 'c'), exited(0));
        expect((await run.end).stdout.toString()).toBe('abc');
      });

      it('writes to a file at its offset', async () => {
        const run = world.line('{ echo before; gcc x; echo after; } > file');
        const { peer } = await started(world, front, link);
        peer.send(out(1, 0, 'remote\n'), exited(0));
        await run.end;
        expect(readFileSync(join(world.root, 'file'), 'utf8')).toBe('before\nremote\nafter\n');
      });

      it('never sets O_NONBLOCK on a descriptor that others share', async () => {
        const run = world.line(`exec 4>&1; gcc x; grep flags /proc/$$/fdinfo/4; true`);
        const pipe = world.line(`{ gcc x; grep flags /proc/self/fdinfo/1; } | cat`);
        for (let i = 0; i < 2; i++) {
          const { peer } = await started(world, front, link);
          peer.send(out(1, 0, 'x\n'), exited(0));
        }
        for (const each of [run, pipe]) {
          const text = (await each.end).stdout.toString();
          const flags = parseInt(/flags:\s+(\d+)/.exec(text)?.[1] ?? '4000', 8);
          expect(flags & 0o4000).toBe(0);
        }
      });

      it('passes 50 MB to a slow reader, acknowledging only what was written', async () => {
        const data = Buffer.alloc(50_000_000, 'all work and no play makes a dull build\n');
        const run = world.line('{ gcc x < /dev/null | { read -r go <&3; sha1sum; }; } 3<&0');
        const { peer } = await started(world, front, link);
        const acks: number[] = [];
        const sending = stream(peer, 1, data, (acked) => {
          acks.push(acked);
          // Nobody reads yet: no more than a pipe holds can have been written, so the window fills up.
          if (acks.length === 1) run.child.stdin?.end('go\n');
        });
        await sending;
        expect(acks[0]).toBeLessThanOrEqual(1 << 20);
        peer.send(exited(0));
        const local = world.start('sha1sum', [], { input: data });
        expect((await run.end).stdout).toEqual((await local.end).stdout);
      });

      it('tells the worker when nobody reads a stream any more, and ends as the tool ends', async () => {
        const run = world.line('gcc x | true; echo ${PIPESTATUS[0]}');
        const { peer } = await started(world, front, link);
        let at = 0;
        const pump = setInterval(() => {
          peer.send(out(1, at, 'y'.repeat(1000)));
          at += 1000;
        }, 1);
        expect((await peer.next('outClosed')).stream).toBe(1);
        clearInterval(pump);
        peer.send({ type: 'exit', kind: 1, value: 13 });
        expect((await run.end).stdout.toString()).toBe('141\n');
      });

      it('reports output that could not be written where the tool itself saw no error', async () => {
        const run = world.line('gcc x > /dev/full');
        const { peer } = await started(world, front, link);
        peer.send(out(1, 0, 'x'), exited(0));
        const end = await run.end;
        expect(end.code).toBe(102);
        expect(end.stderr.toString()).toMatch(
          /^rch: cannot write the output of gcc: No space left/,
        );
      });

      it('outlives a limit on the size of files, and says so', async () => {
        const run = world.line('ulimit -f 1; gcc x > big; echo "$?" >&2');
        const { peer } = await started(world, front, link);
        peer.send(out(1, 0, 'x'.repeat(65_536)), exited(0));
        const end = await run.end;
        expect(end.stderr.toString()).toMatch(
          /^rch: cannot write the output of gcc: File too large\n102\n$/,
        );
      });

      it('drops bytes that it has already', async () => {
        const run = world.call('gcc', ['x']);
        const { peer } = await started(world, front, link);
        peer.send(
          out(1, 0, 'abcd'),
          out(1, 2, 'cdef'),
          out(1, 0, 'abc'),
          out(1, 6, 'g'),
          exited(0),
        );
        expect((await run.end).stdout.toString()).toBe('abcdefg');
      });

      it('works with descriptors that are closed', async () => {
        const run = world.line('gcc x <&- >&-; echo "$?" >&2');
        const { peer, ask } = await started(world, front, link);
        expect([ask.inKind, ask.outKind]).toEqual([0, 0]);
        peer.send(out(1, 0, 'dropped'), exited(4));
        expect((await run.end).stderr.toString()).toBe('4\n');
      });
    });

    describe('at the end', () => {
      it.each([
        ['SIGTERM', 15],
        ['SIGSEGV', 11],
        ['SIGKILL', 9],
        ['SIGPIPE', 13],
      ] as const)('dies of %s when the tool did', async (name, number) => {
        const run = world.line('trap "" TERM PIPE; exec gcc x');
        const { peer } = await started(world, front, link);
        peer.send({ type: 'exit', kind: 1, value: number });
        expect((await run.end).signal).toBe(name);
        expect(existsSync(join(world.root, 'core'))).toBe(false);
      });

      it('becomes another program here, with changes of its environment', async () => {
        const program = world.tool(
          'app',
          `echo "$0 $1 $PWD $NEW \${GONE-unset} $KEPT"; read x; echo "$x"; env | grep -c RCH_SHIM; case $PATH in *${world.shims}*) echo dirty;; esac; kill -TERM $$`,
        );
        mkdirSync(join(world.root, 'sub'));
        const run = world.line('echo input | KEPT=kept GONE=x NEW=old exec gcc x');
        const { peer } = await started(world, front, link);
        peer.send(out(1, 0, 'built\n'), {
          type: 'execHere',
          path: Buffer.from(program),
          cwd: Buffer.from(join(world.root, 'sub')),
          argv: [Buffer.from('app'), Buffer.from('a b')],
          setEnv: [Buffer.from('NEW=new')],
          unsetEnv: [Buffer.from('GONE')],
        });
        const end = await run.end;
        expect(end.stdout.toString()).toBe(
          `built\n${program} a b ${world.root}/sub new unset kept\ninput\n1\n`,
        );
        expect(end.code).toBe(143);
      });

      it('ends with 102 and the reason when the run was lost', async () => {
        const run = world.call('gcc', ['x']);
        const { peer } = await started(world, front, link);
        peer.send(out(1, 0, 'half'), { type: 'lost', text: 'the worker went away' });
        const end = await run.end;
        expect(end.code).toBe(102);
        expect(end.stderr.toString()).toBe('rch: the worker went away\n');
        expect(end.stdout.toString()).toBe('half');
      });

      it('writes all that came of a lost run to a reader who takes his time', async () => {
        const run = world.line('gcc x | { read -r go <&3; wc -c; }; echo ${PIPESTATUS[0]}', {
          stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
        });
        const { peer } = await started(world, front, link);
        peer.send(out(1, 0, Buffer.alloc(500_000)), { type: 'lost', text: 'gone' });
        await peer.closed;
        (run.child.stdio[3] as Writable).end('go\n');
        expect((await run.end).stdout.toString()).toBe('500000\n102\n');
      });

      it('says what it could not write where the tool only saw a broken pipe', async () => {
        const run = world.line('gcc x > /dev/full');
        const { peer } = await started(world, front, link);
        peer.send(out(1, 0, 'x'), { type: 'exit', kind: 1, value: 13 });
        const end = await run.end;
        expect(end.code).toBe(102);
        expect(end.stderr.toString()).toContain('No space left');
      });

      it('ends with 102 when the link talks nonsense after the start', async () => {
        for (const bytes of [Buffer.from([1, 0, 0, 0, 250]), Buffer.from([3, 0, 0, 0, 50, 1, 2])]) {
          const run = world.call('gcc', ['x']);
          const { peer } = await started(world, front, link);
          peer.socket.write(bytes);
          expect((await run.end).code).toBe(102);
        }
      });
    });

    describe('when the link goes away after the start', () => {
      it('takes the job up again, with no byte lost or doubled', async () => {
        const data = randomBytes(400_000);
        const run = world.call('gcc', ['x']);
        let { peer } = await started(world, front, link);
        let at = 0;
        for (let round = 0; round < 4; round++) {
          peer.send(out(1, at, data.subarray(at, at + 70_000)));
          // The launcher may have got any part of it when the link dies.
          if (round % 2 === 0) await peer.next('outAck');
          peer.socket.destroy();
          const asker = await front.accept();
          expect((await asker.next('where')).job).toEqual(jobId);
          asker.send({ type: 'ack' }, { type: 'wait', text: 'moment' }, remoteTo(world));
          peer = await link.accept();
          const resume = await peer.next('resume');
          expect(resume.job).toEqual(jobId);
          at = Number(resume.stdoutAt);
        }
        peer.send(out(1, at, data.subarray(at)), exited(5));
        const end = await run.end;
        expect(end.code).toBe(5);
        expect(end.stdout.equals(data)).toBe(true);
      });

      it('sends standard input again from where the tool had read', async () => {
        const run = world.line('{ gcc x; cat >&2; } < <(printf 0123456789)');
        const { peer } = await started(world, front, link);
        expect((await peer.next('stdin')).data.toString()).toBe('0123456789');
        peer.send({ type: 'stdinUsed', offset: 4n });
        peer.socket.end();
        const asker = await front.accept();
        await asker.next('where');
        asker.send(remoteTo(world));
        const again = await link.accept();
        expect((await again.next('resume')).stdinAt).toBe(4n);
        expect(await again.next('stdin')).toMatchObject({
          offset: 4n,
          data: Buffer.from('456789'),
        });
        again.send({ type: 'stdinUsed', offset: 6n }, exited(0));
        expect((await run.end).stderr.toString()).toBe('6789');
      });

      it('finds its job again after the daemon itself was away', async () => {
        const run = world.call('gcc', ['x']);
        const { peer } = await started(world, front, link);
        peer.send(out(1, 0, 'before '));
        await peer.next('outAck');
        await front.close();
        peer.socket.destroy();
        const reborn = await world.listen('front.sock');
        const asker = await reborn.accept();
        await asker.next('where');
        asker.send(remoteTo(world));
        const again = await link.accept();
        expect((await again.next('resume')).stdoutAt).toBe(7n);
        again.send(out(1, 7, 'after'), exited(0));
        expect((await run.end).stdout.toString()).toBe('before after');
      });

      it('looks for its job as long as its link said, and ends with 102 then', async () => {
        const run = world.call('gcc', ['x']);
        const { peer } = await started(world, front, link);
        peer.send({ type: 'starting', resumeSec: 1 }, out(1, 0, 'before'));
        await peer.next('outAck');
        peer.socket.destroy();
        const asker = await front.accept();
        await asker.next('where');
        const begun = performance.now();
        // The front has no answer yet, and says so.
        const beat = setInterval(() => {
          asker.send({ type: 'wait', text: '' });
        }, 100);
        const end = await run.end;
        clearInterval(beat);
        expect(end).toMatchObject({ code: 102, stdout: Buffer.from('before') });
        expect(end.stderr.toString()).toMatch(/^rch: .* did not come back within 1 s; /);
        expect(performance.now() - begun).toBeGreaterThan(900);
      });

      it('takes the word of a link that does not know for how long', async () => {
        const run = world.call('gcc', ['x']);
        const { peer } = await started(world, front, link);
        // As links said it before that field: a frame without a body.
        peer.socket.write(Buffer.from([1, 0, 0, 0, 58]));
        peer.send(out(1, 0, 'before '));
        await peer.next('outAck');
        peer.socket.destroy();
        const asker = await front.accept();
        await asker.next('where');
        asker.send(remoteTo(world));
        const again = await link.accept();
        expect((await again.next('resume')).stdoutAt).toBe(7n);
        again.send(out(1, 7, 'after'), exited(0));
        expect((await run.end).stdout.toString()).toBe('before after');
      });

      it('ends with 102 when the front does not know the job', async () => {
        const run = world.call('gcc', ['x']);
        const { peer } = await started(world, front, link);
        peer.socket.destroy();
        const asker = await front.accept();
        await asker.next('where');
        asker.send({ type: 'local', reason: 'the worker was restarted', notice: '', lease: 0n });
        const end = await run.end;
        expect(end.code).toBe(102);
        expect(end.stderr.toString()).toBe('rch: the worker was restarted\n');
      });

      it('forwards a signal that came meanwhile, and obeys a second one', async () => {
        const run = world.call('gcc', ['x']);
        const { peer } = await started(world, front, link);
        peer.socket.destroy();
        const asker = await front.accept();
        await asker.next('where');
        process.kill(run.pid, 'SIGINT');
        asker.send(remoteTo(world));
        const again = await link.accept();
        const signal = await again.next('signal');
        expect(signal.signo).toBe(2);
        again.socket.destroy();
        await (await front.accept()).next('where');
        process.kill(run.pid, 'SIGTERM');
        process.kill(run.pid, 'SIGINT');
        expect(['SIGTERM', 'SIGINT']).toContain((await run.end).signal);
      });
    });
  },
);

describe('a launcher whose link falls silent', () => {
  let world: LauncherWorld;
  let front: Listener;
  let link: Listener;
  beforeEach(async () => {
    world = new LauncherWorld('hasty');
    front = await world.listen('front.sock');
    link = await world.listen('link-w.sock');
  });
  afterEach(async () => {
    await world.dispose();
  });

  it('looks for its job elsewhere, from what it has written', async () => {
    const run = world.call('gcc', ['x']);
    const { peer } = await started(world, front, link);
    peer.send(out(1, 0, 'before '));
    const asker = await front.accept();
    expect((await asker.next('where')).job).toEqual(jobId);
    asker.send(remoteTo(world));
    const again = await link.accept();
    expect((await again.next('resume')).stdoutAt).toBe(7n);
    again.send(out(1, 7, 'after'), exited(3));
    expect(await run.end).toMatchObject({ code: 3, stdout: Buffer.from('before after') });
  });

  it('stays with one that beats, however long the tool says nothing', async () => {
    const run = world.call('gcc', ['x']);
    const { peer } = await started(world, front, link);
    const begun = performance.now();
    let last = begun;
    let longest = 0;
    while (last - begun < 4000) {
      peer.send({ type: 'wait', text: '' });
      await new Promise((resolve) => setTimeout(resolve, 200));
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }
    // Where this very process stood still, the silence was real.
    if (longest > 1500) return;
    peer.send(exited(0));
    expect((await run.end).code).toBe(0);
    expect(front.count).toBe(1);
  });

  it('asks what became of a command that was about to start, and runs it only when told to', async () => {
    const answers = [
      {
        answer: { type: 'local', reason: 'r', notice: '', lease: 0n },
        code: 0,
        out: 'real gcc x\n',
      },
      { answer: { type: 'lost', text: 'gone' }, code: 102, out: '' },
    ] as const;
    for (const { answer, code, out: said } of answers) {
      const run = world.call('gcc', ['x']);
      const { peer: first } = await question(front);
      first.send(remoteTo(world));
      const peer = await link.accept();
      await peer.next('commit');
      peer.send({ type: 'starting', resumeSec: 60 });
      await peer.next('bound');
      peer.socket.end();
      const asker = await front.accept();
      await asker.next('where');
      asker.send(remoteTo(world));
      const again = await link.accept();
      expect((await again.next('rejoin')).job).toEqual(jobId);
      again.send(answer);
      expect(await run.end).toMatchObject({ code, stdout: Buffer.from(said) });
    }
  });

  it('ends with 102 when the user stopped the daemon meanwhile', async () => {
    const run = world.call('gcc', ['x']);
    const { peer } = await started(world, front, link);
    await front.close();
    writeFileSync(world.run('stopped'), '');
    peer.socket.end();
    const end = await run.end;
    expect(end.code).toBe(102);
    expect(end.stderr.toString()).toMatch(/^rch: the daemon was stopped/);
  });
});
