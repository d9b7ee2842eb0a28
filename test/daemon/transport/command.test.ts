import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  writeFileSync,
  chmodSync,
} from 'node:fs';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandArgv } from '../../../daemon/transport/command.ts';
import { connect } from '../../../daemon/transport/connect.ts';
import { workerConfig } from '../../../src/config/worker-schema.ts';
import { Fleet, noFleet } from '../../rig/fleet.ts';
import { echoed, failureOf, Installation, valueOf } from './standin.ts';

describe('the argv of a command worker', () => {
  test('ends with words for what takes an argv', () => {
    expect(commandArgv(['docker', 'exec', '-i', 'box'], 'echo "a b"')).toEqual([
      'docker',
      'exec',
      '-i',
      'box',
      'sh',
      '-c',
      'echo "a b"',
    ]);
  });
  test('ends with one line for ssh, which joins its words', () => {
    expect(commandArgv(['/usr/bin/ssh', 'box'], 'echo "a b"')).toEqual([
      '/usr/bin/ssh',
      'box',
      `/bin/sh -c 'echo "a b"'`,
    ]);
  });
  test('takes the line where it is asked for', () => {
    expect(commandArgv(['su', 'me', '-c', '{command}'], 'id')).toEqual([
      'su',
      'me',
      '-c',
      `/bin/sh -c 'id'`,
    ]);
  });
});

describe('a command whose stdio reaches a shell', () => {
  let here: Installation;
  beforeAll(() => {
    here = new Installation();
  });
  afterAll(async () => {
    await here.remove();
  });

  /** `env` gives the far side a home of its own, as a container would have. */
  function local(name: string): string[] {
    const home = join(here.root, name);
    mkdirSync(home, { recursive: true });
    return ['env', `HOME=${home}`];
  }

  test('carries agent and streams', async () => {
    const worker = workerConfig.parse({
      id: 'box',
      transport: 'command',
      command: local('box with space'),
    });
    const connection = valueOf(await connect(worker, { layout: here.layout }));
    const [one, two] = [
      valueOf(await connection.openStream()),
      valueOf(await connection.openStream()),
    ];
    expect(await echoed(one, 'one')).toBe('one');
    expect(await echoed(two, 'two')).toBe('two');
    const agents = join(here.root, 'box with space', '.cache', 'rch-wkr', 'agents');
    expect(readdirSync(agents)).toHaveLength(1);
    const closed = [once(one, 'close'), once(two, 'close')];
    connection.close();
    await Promise.all(closed);
    expect(await connection.closed).toContain('closed here');
  });

  test('on a file system that machines share keeps all but the programs apart by machine', async () => {
    const bin = join(here.root, 'nfs');
    mkdirSync(bin);
    writeFileSync(join(bin, 'stat'), '#!/bin/sh\necho nfs\n', { mode: 0o755 });
    const command = [...local('shared'), `PATH=${bin}:${process.env['PATH'] ?? ''}`];
    const worker = workerConfig.parse({ id: 'box', transport: 'command', command });
    const connection = valueOf(await connect(worker, { layout: here.layout }));
    expect(await echoed(valueOf(await connection.openStream()), 'far')).toBe('far');
    const base = join(here.root, 'shared', '.cache', 'rch-wkr');
    expect(readdirSync(base).sort()).toEqual(['agents', 'on']);
    expect(readdirSync(join(base, 'on', hostname(), 'run'))).toEqual([
      expect.stringMatching(/^\w{32}\.sock$/),
    ]);
    connection.close();
  });

  test('that is not there, or fails, or prints something else, is told', async () => {
    const failing = async (command: string[]): Promise<string> =>
      failureOf(
        await connect(workerConfig.parse({ id: 'box', transport: 'command', command }), {
          layout: here.layout,
        }),
      );
    expect(await failing(['/nowhere/at-all'])).toContain('there is no such program');
    expect(await failing(['sh', '-c', 'echo no such pod >&2; exit 7', '--'])).toContain(
      'no such pod',
    );
    expect(await failing(['sh', '-c', 'exec yes junk', '--'])).toContain(
      'does not speak our protocol',
    );
  });

  test('without tar is told what to install', async () => {
    const bin = join(here.root, 'bin');
    mkdirSync(bin);
    for (const tool of ['sh', 'mkdir', 'uname', 'getconf', 'head', 'tail', 'df', 'mv', 'gzip']) {
      const found = ['/bin', '/usr/bin'].map((folder) => join(folder, tool)).find(existsSync);
      if (found !== undefined) copyFileSync(found, join(bin, tool));
    }
    const command = [...local('poor'), `PATH=${bin}`];
    const worker = workerConfig.parse({ id: 'box', transport: 'command', command });
    expect(failureOf(await connect(worker, { layout: here.layout }))).toContain(
      'the worker has no tar',
    );
  });

  test('of another architecture or with an older libc is refused', async () => {
    const bin = join(here.root, 'other');
    mkdirSync(bin);
    const say = (name: string, text: string): void => {
      writeFileSync(join(bin, name), `#!/bin/sh\necho ${text}\n`);
      chmodSync(join(bin, name), 0o755);
    };
    const attempt = async (): Promise<string> =>
      failureOf(
        await connect(
          workerConfig.parse({
            id: 'box',
            transport: 'command',
            command: [...local('old'), `PATH=${bin}:${process.env['PATH'] ?? ''}`],
          }),
          { layout: here.layout },
        ),
      );
    say('uname', 'armv7l');
    expect(await attempt()).toContain("the worker's architecture is armv7l");
    say('uname', process.arch === 'x64' ? 'x86_64' : 'aarch64');
    say('getconf', 'glibc 2.17');
    expect(await attempt()).toContain("the worker's glibc 2.17 is older than ours");
  });
});

describe.skipIf(noFleet !== undefined)('the system ssh as a command', () => {
  let fleet: Fleet;
  let here: Installation;
  beforeAll(async () => {
    fleet = await Fleet.up('command', 1);
    here = new Installation();
  }, 900_000);
  afterAll(async () => {
    await here.remove();
    await fleet.release();
  });

  test('reaches a real worker', async () => {
    const worker = fleet.worker(0);
    const command = [
      'ssh',
      '-F',
      'none',
      '-o',
      `UserKnownHostsFile=${worker.knownHosts}`,
      '-i',
      worker.identityFile,
      `${worker.user}@${worker.host}`,
    ];
    const connection = valueOf(
      await connect(workerConfig.parse({ id: 'box', transport: 'command', command }), {
        layout: here.layout,
      }),
    );
    expect(await echoed(valueOf(await connection.openStream()), 'over ssh')).toBe('over ssh');
    connection.close();
  });
});
