import { chmodSync, existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LauncherWorld, question } from './launcher-rig.ts';

const cpus = Number(
  readFileSync('/proc/self/status', 'utf8')
    .match(/^Cpus_allowed_list:\t(.*)$/m)?.[1]
    ?.split(',')
    .map((part) => part.split('-').map(Number))
    .reduce((sum, [from, to]) => sum + ((to ?? from ?? 0) - (from ?? 0)) + 1, 0),
);

describe.each(['plain', 'sanitized'] as const)(
  'a launcher without a daemon (%s build)',
  (variant) => {
    let world: LauncherWorld;
    beforeEach(() => {
      world = new LauncherWorld(variant);
    });
    afterEach(async () => {
      await world.dispose();
    });

    /** The daemon's report of how it was started; it opens a FIFO when it is there. */
    async function daemon(): Promise<string> {
      const wait = world.start('cat', [join(world.root, 'started')]);
      await wait.end;
      const list = world.start('sh', ['-c', `cat ${world.root}/called-*`]);
      return (await list.end).stdout.toString();
    }
    async function prepare(): Promise<void> {
      writeFileSync(join(world.home, 'lib', 'rchd.mjs'), '');
      world.tool(
        'node',
        `( readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2; : ) > ${world.root}/called-0-std
       fds=$(for f in /proc/$$/fd/*; do echo "fd \${f##*/}"; done)
       { echo "args $*"; echo "cwd $(pwd)"; echo "$fds"
         awk '{ print "session", ($1 == $6) }' /proc/$$/stat
         grep -E 'SigIgn|Cpus_allowed_list' /proc/$$/status; grep 'Max cpu time' /proc/$$/limits; echo nice $(nice); env; } > ${world.root}/called-$$
       echo > ${world.root}/started`,
        join(world.home, 'lib'),
      );
      await world.start('mkfifo', [join(world.root, 'started')]).end;
    }

    it('runs here at once and starts one in the background, detached, with a clean environment', async () => {
      await prepare();
      const env = { RCH_WORKER: 'x', LD_PRELOAD: '', MAKEFLAGS: '-j', XDG_CONFIG_HOME: '/c' };
      const run = world.line(`trap '' HUP; exec gcc x`, { env });
      expect((await run.end).stdout.toString()).toBe('real gcc x\n');
      const text = await daemon();
      expect(text).toMatch(/^(\/dev\/null\n){3}args/);
      expect(text).toContain(`args ${world.home}/lib/rchd.mjs --background\ncwd /\n`);
      expect(text).not.toMatch(/^fd 1\d\d$/m);
      expect(text).toMatch(/SigIgn:\s0000000000000000/);
      expect(text).toContain('XDG_CONFIG_HOME=/c');
      expect(text).not.toContain(world.shims);
      expect(text).not.toMatch(/^(RCH_|MAKE|LD_)/m);
      expect(text).toMatch(/session 0/);
    });

    it('says why a command runs here when that was asked for', async () => {
      await prepare();
      const { stderr } = await world.call('gcc', ['x'], { env: { RCH_VERBOSE: '1' } }).end;
      expect(stderr.toString()).toBe('rch: local: no daemon runs (rch doctor daemon)\n');
      await daemon();
    });

    it('starts one that is free of what its caller asked for itself', async () => {
      await prepare();
      const [status] =
        readFileSync('/proc/self/status', 'utf8').match(/^Cpus_allowed_list:.*$/m) ?? [];
      const [cpu = ''] = /\d+/.exec(status ?? '') ?? [];
      const run = world.line(`ulimit -S -t 60; exec taskset -c ${cpu} nice -n 3 gcc x`);
      expect((await run.end).stdout.toString()).toBe('real gcc x\n');
      const text = await daemon();
      expect(text).toContain(`${status ?? ''}\n`);
      expect(text).toMatch(/^Max cpu time +unlimited/m);
      if (process.getuid?.() === 0) expect(text).toMatch(/^nice 0$/m);
    });

    it('starts none under hard limits that would end it', async () => {
      await prepare();
      const run = world.line('ulimit -t 60; exec gcc x');
      expect((await run.end).stdout.toString()).toBe('real gcc x\n');
      expect(existsSync(world.run('starting'))).toBe(false);
    });

    it('starts only one in five seconds', async () => {
      await prepare();
      for (const word of ['a', 'b', 'c'])
        expect((await world.call('gcc', [word]).end).stdout.toString()).toBe(`real gcc ${word}\n`);
      expect((await daemon()).match(/^args /gm)).toHaveLength(1);
      const past = new Date(Date.now() - 6000);
      utimesSync(world.run('starting'), past, past);
      await world.call('gcc', ['d']).end;
      expect((await daemon()).match(/^args /gm)).toHaveLength(2);
    });

    it('starts none while the user has stopped it, or where the folder is not ours alone', async () => {
      writeFileSync(world.run('stopped'), '');
      expect((await world.call('gcc', ['x']).end).stdout.toString()).toBe('real gcc x\n');
      expect(existsSync(world.run('starting'))).toBe(false);
      chmodSync(join(world.home, 'run'), 0o755);
      expect((await world.call('gcc', ['x']).end).stdout.toString()).toBe('real gcc x\n');
      expect(existsSync(world.run('starting'))).toBe(false);
    });

    it('starts one when a dead daemon left its socket', async () => {
      await prepare();
      const dead = world.start('python3', [
        '-c',
        'import socket,sys; s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])',
        world.run('front.sock'),
      ]);
      await dead.end;
      expect((await world.call('gcc', ['x']).end).stdout.toString()).toBe('real gcc x\n');
      expect(await daemon()).toContain('args ');
    });

    it('bounds heavy tools by as many locks as there are CPUs, and lets light ones pass', async () => {
      world.tool('make', 'echo in; read line; echo out');
      const runs = Array.from({ length: cpus + 1 }, () => world.call('make', []));
      const first = runs.slice(0, cpus);
      // Whichever cpus of them got a lock show it; the last one waits.
      const seen = new Set<number>();
      while (seen.size < cpus)
        seen.add(
          await Promise.race(
            runs.map(async (run, index) => {
              if (seen.has(index)) return new Promise<number>(() => undefined);
              await run.sees('in\n');
              return index;
            }),
          ),
        );
      expect(first.length).toBe(cpus);
      expect((await world.call('gcc', ['light']).end).stdout.toString()).toBe('real gcc light\n');
      expect((await world.call('cargo', ['--version']).end).stdout.toString()).toBe(
        'real cargo --version\n',
      );
      const waiting = runs.findIndex((_, index) => !seen.has(index));
      expect(runs[waiting]?.stdout.toString()).toBe('');
      for (const index of seen) runs[index]?.child.stdin?.end('\n');
      await runs[waiting]?.sees('in\n');
      runs[waiting]?.child.stdin?.end('\n');
      await Promise.all(runs.map((run) => run.end));
    });

    it('never waits below a tool that holds a lock, even with an empty environment', async () => {
      world.tool(
        'make',
        `env -i PATH=/usr/bin:/bin:${world.bin} ${join(world.shims, 'cargo')} nested`,
      );
      const holders = Array.from({ length: cpus }, () => world.call('make', []));
      for (const end of await Promise.all(holders.map((run) => run.end)))
        expect(end.stdout.toString()).toBe('real cargo nested\n');
    });

    it('marks what it starts, so that a daemon asked later knows', async () => {
      const front = await world.listen('front.sock');
      const run = world.call('make', ['x']);
      const { peer, ask } = await question(front);
      expect(ask.env.some((entry) => entry.toString().startsWith('RCH_SHIM='))).toBe(false);
      peer.send({ type: 'local', reason: '', notice: '', lease: 0n });
      expect((await run.end).stdout.toString()).toBe('real make x\n');
    });
  },
);
