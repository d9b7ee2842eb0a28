import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  exited,
  LauncherWorld,
  out,
  question,
  remoteTo,
  started,
  type Listener,
} from './launcher-rig.ts';

/** termios(3) on Linux: bits of c_lflag. */
const ICANON = 0o2;
const ECHO = 0o10;

/** Changes c_lflag, the fourth word of the packed form. */
function withoutLocal(termios: Buffer, bits: number): Buffer {
  const changed = Buffer.from(termios);
  changed.writeUInt32LE(changed.readUInt32LE(12) & ~bits, 12);
  return changed;
}

describe.each(['plain', 'sanitized'] as const)(
  'a remote job on a terminal (%s build)',
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

    it('is told the size and the modes of the terminal', async () => {
      const run = world.onTerminal(['sh', '-c', 'exec gcc x 2> err']);
      const { peer, ask } = await started(world, front, link);
      expect([ask.inKind, ask.outKind, ask.errKind]).toEqual([1, 1, 3]);
      expect([ask.rows, ask.cols]).toEqual([24, 80]);
      expect(ask.termios.length).toBe(35);
      expect(ask.termios.readUInt32LE(12) & (ICANON | ECHO)).toBe(ICANON | ECHO);
      peer.send(exited(0));
      expect((await run.end).code).toBe(0);
    });

    it.each([
      ['gcc x', 'standard output'],
      ['gcc x > file', 'standard error'],
      ['gcc x > file 2>&1', 'standard input'],
    ])('prints what `%s` wrote to its terminal on %s', async (command) => {
      const run = world.onTerminal(['sh', '-c', command]);
      const { peer } = await started(world, front, link);
      peer.send(out(3, 0, 'one\ntwo'), exited(0));
      expect((await run.end).stdout.toString()).toBe('one\r\ntwo');
    });

    it('passes a megabyte to a terminal exactly', async () => {
      const text = Buffer.alloc(1_000_000, '0123456789abcdef');
      const run = world.onTerminal(['gcc', 'x']);
      const { peer } = await started(world, front, link);
      for (let at = 0; at < text.length; at += 50_000)
        peer.send(out(3, at, text.subarray(at, at + 50_000)));
      peer.send(exited(0));
      expect((await run.end).stdout.equals(text)).toBe(true);
    });

    it('shows what it waits for in one dim line and rubs it out', async () => {
      const run = world.onTerminal(['gcc', 'x']);
      const { peer } = await question(front);
      peer.send({ type: 'wait', text: `queued\n\u001b[31m${'!'.repeat(200)}` }, remoteTo(world));
      const job = await link.accept();
      const gone = '\r\u001b[K';
      job.send(
        { type: 'notice', text: `${gone}up 1%`, always: false },
        { type: 'notice', text: `${gone}up 2%`, always: false },
        { type: 'started' },
        out(3, 0, 'half'),
        { type: 'notice', text: `${gone}not over half a line`, always: false },
        { type: 'notice', text: 'a line\n', always: false },
        out(3, 4, 'rest\n'),
        { type: 'notice', text: `${gone}returning`, always: false },
        { type: 'notice', text: gone, always: false },
        { type: 'notice', text: 'where and how long\n', always: false },
        exited(0),
      );
      const queued = `\r\u001b[2mqueued  [31m${'!'.repeat(67)}\u001b[0m`;
      expect((await run.end).stdout.toString()).toBe(
        [
          `${queued}${gone}`,
          `${gone}up 1%${gone}up 2%${gone}`,
          'half\r\na line\r\nrest\r\n',
          `${gone}returning${gone}where and how long\r\n`,
        ].join(''),
      );
    });

    it('reads nothing until the tool wants it, then one line', async () => {
      const run = world.onTerminal(['sh', '-c', 'gcc x; read -r line; echo "left $line"']);
      const { peer } = await started(world, front, link);
      run.child.stdin?.write('first\nsecond\n');
      await run.sees('second\r\n');
      peer.send({ type: 'ttyWant', want: 1 });
      expect((await peer.next('ttyInput')).data.toString()).toBe('first\n');
      peer.send(exited(0));
      expect((await run.end).stdout.toString()).toContain('left second\r\n');
    });

    it('waits for a line that comes later, and passes the end of input on', async () => {
      const run = world.onTerminal(['gcc', 'x']);
      const { peer } = await started(world, front, link);
      peer.send({ type: 'ttyWant', want: 1 }, out(3, 0, 'name? '));
      await run.sees('name? ');
      run.child.stdin?.write('me\n');
      expect((await peer.next('ttyInput')).data.toString()).toBe('me\n');
      peer.send({ type: 'ttyWant', want: 2 });
      run.child.stdin?.write('\u0004');
      expect((await peer.next('ttyInput')).data.length).toBe(0);
      peer.send(exited(0));
      await run.end;
    });

    it('reads for a tool whose standard input is not the terminal', async () => {
      const run = world.onTerminal(['sh', '-c', 'gcc x < /dev/null']);
      const { peer } = await started(world, front, link);
      peer.send({ type: 'ttyWant', want: 1 });
      run.child.stdin?.write('secret\n');
      expect((await peer.next('ttyInput')).data.toString()).toBe('secret\n');
      peer.send(exited(0));
      await run.end;
    });

    it.each([
      ['an exit', exited(0)],
      ['a death by signal', { type: 'exit', kind: 1, value: 15 } as const],
      ['a loss', { type: 'lost', text: 'gone' } as const],
    ])('sets the tool’s modes here, and its own again at %s', async (_, end) => {
      const run = world.onTerminal([
        'sh',
        '-c',
        'stty -a > before; gcc x; stty -a > after; cmp before after && echo same',
      ]);
      const { peer, ask } = await started(world, front, link);
      peer.send(
        { type: 'ttyModes', termios: withoutLocal(ask.termios, ECHO) },
        { type: 'ttyWant', want: 1 },
        out(3, 0, 'password: '),
      );
      await run.sees('password: ');
      run.child.stdin?.write('secret\n');
      expect((await peer.next('ttyInput')).data.toString()).toBe('secret\n');
      peer.send(end);
      const { stdout } = await run.end;
      expect(stdout.toString()).not.toContain('secret');
      expect(stdout.toString()).toMatch(/same\r\n$/);
    });

    it('says again what it said just as the link died, and reads no second line for it', async () => {
      const run = world.onTerminal(['gcc', 'x']);
      const { peer } = await started(world, front, link);
      peer.send({ type: 'ttyWant', want: 1 }, out(3, 0, 'name? '));
      await run.sees('name? ');
      run.child.stdin?.write('first\nsecond\n');
      expect(await peer.next('ttyInput')).toMatchObject({ want: 1 });
      run.child.kill('SIGUSR1');
      await peer.next('resize');
      run.child.stdin?.write('\u0003');
      expect(await peer.next('signal')).toMatchObject({ signo: 2, count: 1 });
      peer.socket.destroy();
      const asker = await front.accept();
      await asker.next('where');
      asker.send(remoteTo(world));
      const again = await link.accept();
      await again.next('resume');
      expect(await again.next('signal')).toMatchObject({ signo: 2, count: 1 });
      again.send({ type: 'ttyWant', want: 1 });
      const line = await again.next('ttyInput');
      expect([line.want, line.data.toString()]).toEqual([1, 'first\n']);
      again.send({ type: 'exit', kind: 1, value: 2 });
      expect((await run.end).signal).toBe('SIGINT');
    });

    it('reads what is there in a mode without lines', async () => {
      const run = world.onTerminal(['gcc', 'x']);
      const { peer, ask } = await started(world, front, link);
      peer.send(
        { type: 'ttyModes', termios: withoutLocal(ask.termios, ICANON | ECHO) },
        { type: 'ttyWant', want: 1 },
        out(3, 0, '?'),
      );
      await run.sees('?');
      run.child.stdin?.write('q');
      expect((await peer.next('ttyInput')).data.toString()).toBe('q');
      peer.send(exited(0));
      await run.end;
    });

    it('passes Ctrl-C, and a change of the window', async () => {
      const run = world.onTerminal(['gcc', 'x']);
      const { peer } = await started(world, front, link);
      peer.send(out(3, 0, 'up'));
      await peer.next('outAck');
      run.child.kill('SIGUSR1');
      expect(await peer.next('resize')).toMatchObject({ rows: 25, cols: 80 });
      run.child.stdin?.write('\u0003');
      expect((await peer.next('signal')).signo).toBe(2);
      peer.send({ type: 'exit', kind: 1, value: 2 });
      expect((await run.end).signal).toBe('SIGINT');
    });

    describe('of an interactive shell', () => {
      const env = { PS1: 'prompt> ', TERM: 'dumb', HISTFILE: '/dev/null' };
      const shell = ['bash', '--norc', '--noprofile', '--noediting', '-i'];

      it('is stopped in the background when the tool reads, and reads in the foreground', async () => {
        const run = world.onTerminal(shell, { env });
        run.child.stdin?.write('gcc x &\n');
        const { peer } = await started(world, front, link);
        peer.send(out(3, 0, 'up\n'));
        await run.sees('up\r\n');
        peer.send({ type: 'ttyWant', want: 1 });
        run.child.stdin?.write('while ! jobs | grep Stopped; do :; done; echo se""en\n');
        await run.sees('seen\r\n');
        run.child.stdin?.write('fg\n');
        expect((await peer.next('signal')).signo).toBe(18);
        run.child.stdin?.write('now\n');
        expect((await peer.next('ttyInput')).data.toString()).toBe('now\n');
        peer.send(exited(0));
        run.child.stdin?.write('exit\n');
        await run.end;
      });

      it('gives the terminal back on Ctrl-Z, and takes it again with `fg`', async () => {
        const run = world.onTerminal(shell, { env });
        run.child.stdin?.write('gcc x\n');
        const { peer, ask } = await started(world, front, link);
        peer.send(
          { type: 'ttyModes', termios: withoutLocal(ask.termios, ECHO) },
          out(3, 0, 'up\n'),
        );
        await peer.next('outAck');
        run.child.stdin?.write('\u001a');
        expect((await peer.next('signal')).signo).toBe(20);
        peer.send({ type: 'stopped', signo: 20 });
        await run.sees('Stopped');
        run.child.stdin?.write('stty -a | grep -o -e "[ -]echo "\n');
        await run.sees(' echo \r\n');
        run.child.stdin?.write('fg\n');
        expect((await peer.next('signal')).signo).toBe(18);
        expect(await peer.next('resize')).toMatchObject({ rows: 24, cols: 80 });
        peer.send({ type: 'ttyWant', want: 1 }, out(3, 3, 'again\n'));
        await run.sees('again\r\n');
        run.child.stdin?.write('hidden\n');
        expect((await peer.next('ttyInput')).data.toString()).toBe('hidden\n');
        peer.send(exited(0));
        run.child.stdin?.write('exit\n');
        expect((await run.end).stdout.toString()).not.toContain('hidden');
      });
    });
  },
);
