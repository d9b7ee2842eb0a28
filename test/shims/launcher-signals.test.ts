import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exited, LauncherWorld, out, started, type Listener } from './launcher-rig.ts';

const numbers = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGALRM: 14,
  SIGTERM: 15,
} as const;

describe.each(['plain', 'sanitized'] as const)('signals of a remote job (%s build)', (variant) => {
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

  it.each(Object.entries(numbers))('forwards %s and goes on', async (name, number) => {
    const run = world.call('gcc', ['x']);
    const { peer } = await started(world, front, link);
    // The launcher takes over its signals when it reads `started`: an acknowledged byte says that it did.
    peer.send(out(1, 0, 'x'));
    await peer.next('outAck');
    process.kill(run.pid, name);
    expect((await peer.next('signal')).signo).toBe(number);
    peer.send(out(1, 1, 'y'), exited(6));
    const end = await run.end;
    expect(end.code).toBe(6);
    expect(end.stdout.toString()).toBe('xy');
  });

  it('leaves ignored what was ignored, and says so', async () => {
    const run = world.line(`trap '' HUP INT PIPE; exec gcc x`);
    const { peer, ask } = await started(world, front, link);
    expect(ask.signals.readBigUInt64LE()).toBe(0x1003n);
    expect(ask.signals.readBigUInt64LE(8)).toBe(0n);
    peer.send(out(1, 0, 'x'));
    await peer.next('outAck');
    process.kill(run.pid, 'SIGHUP');
    process.kill(run.pid, 'SIGINT');
    process.kill(run.pid, 'SIGTERM');
    expect((await peer.next('signal')).signo).toBe(15);
    peer.send(exited(0));
    expect((await run.end).code).toBe(0);
  });

  it('closes its connection when it is killed', async () => {
    const run = world.call('gcc', ['x']);
    const { peer } = await started(world, front, link);
    process.kill(run.pid, 'SIGKILL');
    await peer.closed;
    expect((await run.end).signal).toBe('SIGKILL');
  });

  it('dies of a signal while it only writes what an ended tool left', async () => {
    const run = world.line(
      'set -m; gcc x | { read -r pid; kill -TERM $pid; read -r go <&3; }; echo ${PIPESTATUS[0]}',
      {
        stdio: ['pipe', 'pipe', 'pipe'],
        input: '',
      },
    );
    const { peer, ask } = await started(world, front, link);
    const text = Buffer.alloc(1_000_000, ' ');
    text.write(`${ask.pid}\n`);
    peer.send(out(1, 0, text), exited(0));
    expect((await run.end).stdout.toString()).toMatch(/^(143|0)\n$/);
  });

  describe('with job control', () => {
    /** A tiny shell: runs gcc as a job of its own, says how it stops, and continues it on a line of input. */
    const shell = `import os,sys,signal
pid=os.fork()
if pid==0:
  os.setpgid(0,0); os.execvp("gcc",["gcc","x"])
while True:
  p,s=os.waitpid(pid,os.WUNTRACED)
  if os.WIFSTOPPED(s):
    print("stopped",os.WSTOPSIG(s),flush=True); sys.stdin.readline(); os.kill(-pid,signal.SIGCONT)
  else:
    print("ended",s,flush=True); break`;

    it('stops when the tool has stopped, and goes on with it', async () => {
      const run = world.start('python3', ['-c', shell]);
      const { peer, ask } = await started(world, front, link);
      peer.send(out(1, 0, 'x'));
      await peer.next('outAck');
      process.kill(ask.pid, 'SIGTSTP');
      expect((await peer.next('signal')).signo).toBe(20);
      peer.send({ type: 'stopped', signo: 20 });
      await run.sees('stopped 20\n');
      run.child.stdin?.write('\n');
      expect((await peer.next('signal')).signo).toBe(18);
      peer.send(exited(0));
      await run.sees('ended 0\n');
      await run.end;
    });

    it('stops by itself when the tool does not say that it stopped, and takes a late answer for none', async () => {
      const run = world.start('python3', ['-c', shell]);
      const { peer, ask } = await started(world, front, link);
      peer.send(out(1, 0, 'x'));
      await peer.next('outAck');
      process.kill(ask.pid, 'SIGTSTP');
      await run.sees('stopped 20\n');
      peer.send({ type: 'stopped', signo: 20 }, out(1, 1, 'y'));
      run.child.stdin?.write('\n');
      await peer.next('outAck');
      peer.send(exited(3));
      await run.sees('ended 768\n');
      await run.end;
      expect(run.stdout.toString().match(/stopped/g)).toHaveLength(1);
    });

    it('stops with the tool after one that ignored an earlier stop', async () => {
      const hasty = new LauncherWorld('hasty');
      try {
        const [asked, told] = [await hasty.listen('front.sock'), await hasty.listen('link-w.sock')];
        const run = hasty.start('python3', ['-c', shell]);
        const { peer, ask } = await started(hasty, asked, told);
        peer.send(out(1, 0, 'x'));
        await peer.next('outAck');
        process.kill(ask.pid, 'SIGTSTP');
        await run.sees('stopped 20\n');
        run.child.stdin?.write('\n');
        expect((await peer.next('signal')).signo).toBe(20);
        expect((await peer.next('signal')).signo).toBe(18);
        peer.send({ type: 'stopped', signo: 19 });
        await run.sees('stopped 19\n');
        run.child.stdin?.write('\n');
        expect((await peer.next('signal')).signo).toBe(18);
        peer.send(exited(0));
        await run.end;
      } finally {
        await hasty.dispose();
      }
    });

    it('stops when the tool stops itself', async () => {
      const run = world.start('python3', ['-c', shell]);
      const { peer } = await started(world, front, link);
      peer.send({ type: 'stopped', signo: 19 });
      await run.sees('stopped 19\n');
      run.child.stdin?.write('\n');
      expect((await peer.next('signal')).signo).toBe(18);
      peer.send(exited(0));
      await run.sees('ended 0\n');
      await run.end;
    });

    it('does not stop in an orphaned process group, and sends the tool on', async () => {
      const run = world.start('setsid', ['-w', 'gcc', 'x']);
      const { peer, ask } = await started(world, front, link);
      peer.send(out(1, 0, 'x'));
      await peer.next('outAck');
      process.kill(ask.pid, 'SIGTSTP');
      expect((await peer.next('signal')).signo).toBe(20);
      peer.send({ type: 'stopped', signo: 20 });
      expect((await peer.next('signal')).signo).toBe(18);
      peer.send(exited(0));
      expect((await run.end).code).toBe(0);
    });
  });
});
