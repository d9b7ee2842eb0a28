/** Folders that nobody may read, FIFOs and sockets: what a run makes of them is here afterwards, and harms no run after it. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  readFileSync,
  rmSync,
  statSync,
  type Stats,
} from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noFleet } from '../rig/fleet.ts';
import { ended, World } from '../rig/world.ts';
import { Scene, within, words } from './trouble.ts';

let scene: Scene;

const modeOf = (path: string): number => statSync(path).mode & 0o7777;

describe.skipIf(noFleet !== undefined)('on a worker of an ordinary account', () => {
  beforeAll(async () => {
    scene = await Scene.set('odd-files');
  }, 900_000);
  afterAll(async () => {
    await scene.leave();
  });

  /** A target is made there. */
  const makes = async (folder: string, target: string, said: string): Promise<void> => {
    const { ended: done, row } = await scene.build(folder, ['make', target]);
    expect([done.code, words(done)]).toEqual([0, said]);
    expect(row, row.reason).toMatchObject({ decision: 'remote', exit: 0 });
  };

  it('a folder that a run closes to all comes back closed, with what is in it', async () => {
    const scratch = `/tmp/rch-closed-${process.pid}`;
    const folder = scene.project('closed', {
      Makefile: `unread:
	@mkdir -p locked/deep/er; echo hi > locked/f; echo low > locked/deep/er/f
	@chmod 000 locked/deep/er locked/deep locked; echo made
blind:
	@mkdir blind; echo hi > blind/f; chmod 0311 blind; echo made
hang:
	@mkdir held; echo hi > held/f; chmod 755 blind; chmod 000 held; echo begun; sleep 7654322
scratch:
	@mkdir -p ${scratch}; echo hi > ${scratch}/f; chmod 000 ${scratch}; ls held 2>/dev/null; echo made
names:
	@mkdir names; echo hi > names/f; chmod 0444 names; echo made
see:
	@stat -c '%a %n' locked blind names
open:
	@chmod 755 locked; cat locked/f; chmod 700 locked/deep; rm -rf blind
all:
	@chmod 000 .
`,
    });
    await makes(folder, 'unread', 'made\n');
    for (const [path, mode] of [
      ['locked', 0],
      ['locked/deep', 0],
      ['locked/deep/er', 0],
    ] as const)
      expect(modeOf(join(folder, path)), path).toBe(mode);
    expect(readFileSync(join(folder, 'locked/f'), 'utf8')).toBe('hi\n');
    expect(readFileSync(join(folder, 'locked/deep/er/f'), 'utf8')).toBe('low\n');
    await makes(folder, 'blind', 'made\n');
    await makes(folder, 'names', 'made\n');
    expect([modeOf(join(folder, 'blind')), modeOf(join(folder, 'names'))]).toEqual([0o311, 0o444]);
    // A command finds them as they were left, an edit here reaches what is in them, and so does the next command.
    await makes(folder, 'see', '0 locked\n311 blind\n444 names\n');
    const child = scene.world.spawn(['make', 'hang'], {
      cwd: folder,
      env: { RCH_FORCE_REMOTE: '1' },
    });
    const end = ended(child);
    if (child.stdout === null) throw new Error('no output');
    await within(once(child.stdout, 'data'), 'the beginning');
    const uid = String(scene.worker.uid);
    await scene.fleet.inside(scene.worker, 'pkill', '-KILL', '-u', uid, '-f', 'rch-wkr.mjs serve');
    expect((await within(end)).code).toBe(102);
    await makes(folder, 'see', '0 locked\n311 blind\n444 names\n');
    await makes(folder, 'scratch', 'made\n');
    expect([modeOf(scratch), readFileSync(join(scratch, 'f'), 'utf8')]).toEqual([0, 'hi\n']);
    rmSync(scratch, { recursive: true });
    execFileSync('sh', ['-c', 'echo edited > locked/f; rm locked/deep/er/f'], { cwd: folder });
    await makes(folder, 'open', 'edited\n');
    expect(modeOf(join(folder, 'locked'))).toBe(0o755);
    expect(modeOf(join(folder, 'locked/deep'))).toBe(0o700);
    expect(existsSync(join(folder, 'blind'))).toBe(false);
    rmSync(join(folder, 'locked'), { recursive: true });
    chmodSync(join(folder, 'names'), 0o755);
    await makes(folder, 'unread', 'made\n');
    await makes(folder, 'all', '');
    expect(modeOf(folder)).toBe(0);
    chmodSync(folder, 0o755);
    await makes(folder, 'blind', 'made\n');
  });

  it('FIFOs and sockets that a run leaves are here as it left them, and no later run finds them there', async () => {
    const folder = scene.project('specials', {
      Makefile: `ff:
	mkfifo -m 640 ff
both: ff
	@mkdir in; mkfifo in/two; rm -f was; mkfifo was
	@cc sock.c -o bind; ./bind; rm bind; touch both
seen:
	@ls; test ! -e sock
x: x.c
	@cc -c x.c -o x.o
`,
      'x.c': 'int main(void) { return 0; }\n',
      'sock.c': `#include <sys/socket.h>
int main(void) {
  struct sockaddr at = {AF_UNIX, "sock"};
  return bind(socket(AF_UNIX, SOCK_STREAM, 0), &at, sizeof at);
}
`,
      was: 'a file\n',
    });
    const at = (name: string): Stats => lstatSync(join(folder, name));
    await makes(folder, 'ff', 'mkfifo -m 640 ff\n');
    expect([at('ff').isFIFO(), at('ff').mode & 0o7777]).toEqual([true, 0o640]);
    // While it is here, what may run anything runs here; a compiler reads no FIFO that is not named to it.
    const { ended: local, row } = await scene.build(folder, ['make', 'ff', 'seen']);
    expect([local.code, words(local)]).toEqual([
      0,
      "make: 'ff' is up to date.\nMakefile\nff\nsock.c\nwas\nx.c\n",
    ]);
    expect(row).toMatchObject({ decision: 'local', worker: null });
    expect(row.reason).toBe('ff is a FIFO, which cannot be carried to a worker');
    await scene.buildsThere(folder, ['gcc', '-c', 'x.c', '-o', 'x.o']);
    rmSync(join(folder, 'ff'));
    // It is not there any more either, and is made again.
    await makes(folder, 'both', 'mkfifo -m 640 ff\n');
    for (const name of ['ff', 'in/two', 'was']) expect(at(name).isFIFO(), name).toBe(true);
    expect(at('sock').isSocket()).toBe(true);
    expect(at('both').mtimeMs).toBeGreaterThanOrEqual(at('was').mtimeMs);
    expect(at('both').mtimeMs).toBeGreaterThanOrEqual(at('ff').mtimeMs);
    expect(Math.abs(at('ff').mtimeMs - Date.now())).toBeLessThan(60_000);
    const fresh = await scene.world.run(['make', '-q', 'both'], { cwd: folder, shims: false });
    expect(fresh.code).toBe(0);
    for (const name of ['ff', 'in/two', 'was']) rmSync(join(folder, name));
    await makes(folder, 'seen', 'Makefile\nboth\nin\nsock.c\nx.c\nx.o\n');
    expect(at('sock').isSocket()).toBe(true);
  });

  it('an ordinary user, who cannot read it here either, builds here until it is open or gone', async () => {
    const nobody = { uid: 65_534, gid: 65_534 };
    const world = await World.create('', '[breaker]\nfailure_threshold = 0.5\n', nobody);
    try {
      const { host, user, identityFile } = scene.worker;
      const key = join(world.root, 'key');
      copyFileSync(identityFile, key);
      world.own(key);
      for (const path of [world.root, world.home, scene.base]) chmodSync(path, 0o755);
      world.writeConfig('known_hosts', scene.fleet.knownHosts());
      world.writeConfig(
        'workers.toml',
        `[[workers]]\nid = "worker1"\nhost = "${host}"\nuser = "${user}"\nidentity_file = "${key}"\n`,
      );
      const folder = scene.project('ordinary', {
        Makefile: `unread:
	@mkdir locked; echo hi > locked/f; chmod 000 locked; echo made
x: x.c
	@cc x.c -o x
`,
        'x.c': 'int main(void) { return 0; }\n',
      });
      world.own(folder);
      await world.start();
      const builds = async (target: string, where: RegExp | undefined): Promise<void> => {
        const env = { RCH_FORCE_REMOTE: '1' };
        const done = await within(world.run(['make', '-B', target], { cwd: folder, env }));
        expect(done.code, words(done)).toBe(0);
        const [row] = await world.history(1);
        expect(row, row?.reason).toMatchObject({
          decision: where === undefined ? 'remote' : 'local',
          exit: where === undefined ? 0 : null,
        });
        if (where !== undefined) expect(row?.reason).toMatch(where);
      };
      await builds('unread', undefined);
      expect(modeOf(join(folder, 'locked'))).toBe(0);
      expect(readFileSync(join(folder, 'locked/f'), 'utf8')).toBe('hi\n');
      await builds('x', /^locked cannot be read: permission denied/);
      await builds('x', /^locked cannot be read: permission denied/);
      chmodSync(join(folder, 'locked'), 0o755);
      await builds('x', undefined);
      rmSync(join(folder, 'locked'), { recursive: true });
      await builds('unread', undefined);
      rmSync(join(folder, 'locked'), { recursive: true });
      await builds('x', undefined);
    } finally {
      await world.dispose();
    }
  });
});
