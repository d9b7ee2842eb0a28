import { createHash, generateKeyPairSync } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  onTestFinished,
} from 'vitest';
import { Screen } from '../rig/screen.ts';
import { Line } from './rig.ts';

let line: Line;
beforeAll(async () => {
  line = await Line.create();
});
beforeEach(() => {
  const text = '# mine\n[[workers]]\nid = "css"\nhost = "203.0.113.20" # rack 4\n';
  line.world.writeConfig('workers.toml', text);
  rmSync(line.config('known_hosts'), { force: true });
});
afterAll(async () => {
  await line.world.dispose();
});

/** A daemon runs, until the test is over. */
async function withDaemon(): Promise<void> {
  await line.say(['daemon', 'start']);
  onTestFinished(async () => {
    await line.say(['daemon', 'stop']);
  });
}

const workersToml = (): string => readFileSync(line.config('workers.toml'), 'utf8');

describe('workers.toml', () => {
  it('keeps comments and order when workers come and go, and is for its owner alone', async () => {
    const before = workersToml();
    const added = await line.say([
      'workers',
      'add',
      '--id',
      'box',
      '--transport',
      'command',
      '--',
      'docker',
      'exec',
      '-i',
      'b',
    ]);
    expect(added).toMatchObject({ code: 0 });
    expect(workersToml()).toBe(
      `${before}\n[[workers]]\nid = "box"\ntransport = "command"\ncommand = ["docker", "exec", "-i", "b"]\n`,
    );
    expect(statSync(line.config('workers.toml')).mode & 0o777).toBe(0o600);
    expect(await line.facts(['workers', 'list'])).toMatchObject([
      { id: 'css', transport: 'ssh', host: '203.0.113.20', status: null },
      { id: 'box', transport: 'command', command: ['docker', 'exec', '-i', 'b'] },
    ]);
    expect(await line.say(['workers', 'remove', 'box'])).toMatchObject({ code: 0 });
    expect(workersToml()).toBe(before);
  });

  it('stays in the file when others are added at the same moment', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const add = (id: string): string[] => ['workers', 'add', '--id', id, '--transport', 'command'];
    const all = await Promise.all(names.map((id) => line.say([...add(id), '--', 'true'])));
    expect(all.map(({ code }) => code)).toEqual(names.map(() => 0));
    const listed = (await line.facts(['workers', 'list'])) as { id: string }[];
    expect(listed.map(({ id }) => id).toSorted()).toEqual(['a', 'b', 'c', 'css', 'd', 'e']);
  });

  it('is told to a running daemon at once', async () => {
    await withDaemon();
    await line.say(['workers', 'add', '--id', 'here', '--transport', 'embedded']);
    const { workers } = (await line.facts(['status'])) as { workers: { id: string }[] };
    expect(workers.map((worker) => worker.id)).toEqual(['css', 'here']);
  });

  it.each([
    [['--id', 'css', '--host', 'h'], 'there is already a worker "css"'],
    [['--id', 'a b', '--host', 'h'], '"a b" cannot be a worker\'s id'],
    [['--id', 'a'], 'an ssh worker needs --host'],
    [['--id', 'a', '--transport', 'command'], 'needs an argv'],
    [
      ['--id', 'a', '--host', 'h', '--identity-file', '/no/such'],
      'there is no identity file /no/such',
    ],
    [
      ['--id', 'a', '--transport', 'embedded', '--host', 'foo'],
      'an embedded worker is a process of this machine: it takes no --host',
    ],
    [['--id', 'a', '--transport', 'command', '--user', 'u', '--', 'true'], 'takes no --user'],
    [['--id', 'a', '--host=-oProxyCommand=x'], '"-oProxyCommand=x" is not a host'],
    [['--id', 'a', '--host', 'h', '--user', 'a b;c'], '"a b;c" cannot be an account'],
    [
      ['--id', 'a', '--host', 'me@h', '--user', 'you'],
      '--host me@h names the account me, and --user you',
    ],
    [['--id', 'a', '--host', 'me@'], 'an ssh worker needs --host'],
  ])('is not changed by %j', async (args, reason) => {
    const before = workersToml();
    const said = await line.say(['workers', 'add', ...args]);
    expect(said.code).toBe(1);
    expect(said.err).toContain(reason);
    expect(workersToml()).toBe(before);
  });

  it('takes USER@HOST apart, and a port that can be one', async () => {
    const fake = mkdtempSync(join(line.world.root, 'bin-'));
    // The host shows a key at once.
    writeFileSync(
      join(fake, 'ssh'),
      `#!/bin/sh
for word; do
  case $word in
    -G) printf 'hostname 10.77.3.2\\nport 22\\n'; exit ;;
    UserKnownHostsFile=*) echo '10.77.3.2 ssh-ed25519 AAAA' > "\${word#*=}" ;;
  esac
done
exit 255
`,
      { mode: 0o755 },
    );
    const env = { PATH: `${fake}:${line.world.env['PATH'] ?? ''}` };
    const add = (...args: string[]) =>
      line.say(['workers', 'add', '--id', 'a', '--accept-host-key', ...args], env);
    expect((await add('--host', '10.77.3.2', '--port', '99999')).code).toBe(2);
    expect((await add('--host', 'me@10.77.3.2', '--user', 'me')).code).toBe(0);
    expect(workersToml()).toContain('host = "10.77.3.2"\nuser = "me"\n');
    const bracketed = ['--host', 'me@[2001:db8::2]', '--port', '2222'];
    expect((await line.say(['workers', 'remove', 'a'])).code).toBe(0);
    expect((await add(...bracketed)).code).toBe(0);
    expect(workersToml()).toContain('host = "2001:db8::2"\nuser = "me"\nport = 2222\n');
    const listed = (await line.say(['workers', 'list'])).out;
    expect(listed).toContain(' me@[2001:db8::2]:2222 ');
  });

  it('says that a jump host is refused, not that it closed the connection', async () => {
    const fake = mkdtempSync(join(line.world.root, 'bin-'));
    writeFileSync(
      join(fake, 'ssh'),
      `#!/bin/sh
[ "$1" = -G ] && { echo hostname h; exit; }
printf 'Host key verification failed.\\r\\nConnection closed by UNKNOWN port 65535\\r\\n' >&2
exit 255
`,
      { mode: 0o755 },
    );
    const said = await line.say(['workers', 'add', '--id', 'a', '--host', 'h'], {
      PATH: `${fake}:${line.world.env['PATH'] ?? ''}`,
    });
    expect(said.err).toContain('the key of a jump host is not known, or has changed');
    expect(said.err).toContain('next: try: ssh -- h');
  });

  it('refuses a public key as the identity file, and names the private one', async () => {
    const key = join(line.world.root, 'id_ed25519.pub');
    writeFileSync(key, 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA me@here\n', { mode: 0o644 });
    const add = ['workers', 'add', '--id', 'a', '--host', 'h', '--identity-file', key];
    const said = await line.say(add);
    expect(said.code).toBe(1);
    expect(said.err).toContain(`${key} is a public key`);
    expect(said.err).toContain(
      `next: give the private key, which is usually beside it: ${key.slice(0, -4)}\n`,
    );
  });

  it('refuses an identity file that others may read', async () => {
    const key = join(line.world.root, 'key');
    writeFileSync(key, 'secret');
    chmodSync(key, 0o640);
    const said = await line.say([
      'workers',
      'add',
      '--id',
      'a',
      '--host',
      'h',
      '--identity-file',
      key,
    ]);
    expect(said.err).toContain(`${key} has mode 0640`);
    expect(said.err).toContain(`chmod 600 '${key}'`);
  });
});

it('says that there is no Rust here to bring to a worker', async () => {
  await withDaemon();
  await line.say(['workers', 'add', '--id', 'here', '--transport', 'embedded']);
  const said = await line.say(['workers', 'sync', 'here', '--rust'], { PATH: '/nowhere' });
  expect(said).toMatchObject({ code: 1, out: '' });
  expect(said.err).toContain('there is no Rust here that could be brought to workers');
});

it('says who is known when a worker is not', async () => {
  const said = await line.say(['workers', 'probe', 'csd']);
  expect(said.code).toBe(1);
  expect(said.err).toContain('no worker is called "csd": there are css');
  expect(said.err).toContain('did you mean css?');
  expect((await line.say(['workers', 'remove', 'x9'])).err).toContain('rch workers list');
});

describe('host keys', () => {
  let server: ssh2.Server;
  let port: number;

  function freshKey(): { pem: string; fingerprint: string } {
    const pem = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    }).privateKey;
    const parsed = ssh2.utils.parseKey(pem);
    if (parsed instanceof Error) throw parsed;
    const digest = createHash('sha256').update(parsed.getPublicSSH()).digest('base64');
    return { pem, fingerprint: `SHA256:${digest.replace(/=+$/, '')}` };
  }

  /** A host that shows `pem`, on the port it had before if any, and lets nobody in. */
  async function host(pem: string, on = 0): Promise<void> {
    server = new ssh2.Server({ hostKeys: [pem] }, (client) => {
      client.on('error', () => undefined);
      client.on('authentication', (context) => {
        context.reject();
      });
    });
    server.listen(on, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  }

  async function unhost(): Promise<void> {
    const closed = once(server, 'close');
    server.close();
    await closed;
  }

  afterEach(unhost);

  const add = (id: string, ...more: string[]): ReturnType<Line['say']> =>
    line.say([
      'workers',
      'add',
      '--id',
      id,
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
      ...more,
    ]);

  it('are shown and not taken where nobody can be asked', async () => {
    const key = freshKey();
    await host(key.pem);
    const said = await add('a');
    expect(said.code).toBe(1);
    expect(said.err).toContain(key.fingerprint);
    expect(said.err).toContain('--accept-host-key');
    expect(existsSync(line.config('known_hosts'))).toBe(false);
  });

  it('are asked about on a terminal, and taken by a yes alone', async () => {
    const key = freshKey();
    await host(key.pem);
    const before = workersToml();
    const program = join(line.world.data, 'lib', 'rch.mjs');
    const args = ['workers', 'add', '--id', 'a', '--host', '127.0.0.1', '--port', String(port)];
    const answered = async (answer: string): Promise<Screen> => {
      const screen = Screen.open(line.world, [process.execPath, program, ...args], {
        cwd: '/',
        shims: false,
      });
      await screen.sees(`127.0.0.1 shows the key ssh-rsa ${key.fingerprint}`);
      await screen.sees('Is it the right one? (yes/no) ');
      screen.type(`${answer}\r`);
      await screen.end();
      return screen;
    };
    for (const answer of ['no', '', 'yesterday']) {
      const no = await answered(answer);
      expect(no.text).toContain('the host key was not accepted');
      expect(await no.end()).toBe(1);
      expect(existsSync(line.config('known_hosts'))).toBe(false);
      expect(workersToml()).toBe(before);
    }
    expect(await (await answered('yes')).end()).toBe(0);
    expect(readFileSync(line.config('known_hosts'), 'utf8')).toContain(`:${port} ssh-rsa `);
    expect(workersToml()).toContain('id = "a"');
  });

  it('are kept when accepted, known from then on, and refused when they change', async () => {
    const key = freshKey();
    await host(key.pem);
    expect(await add('a', '--accept-host-key')).toMatchObject({ code: 0 });
    const known = readFileSync(line.config('known_hosts'), 'utf8');
    expect(known).toMatch(new RegExp(`^\\[127\\.0\\.0\\.1\\]:${port} ssh-rsa \\S+\\n$`));
    const again = await add('b');
    expect(again).toMatchObject({ code: 0 });
    expect(again.err).toContain(`known from ${line.config('known_hosts')}`);

    await unhost();
    const other = freshKey();
    await host(other.pem, port);
    const changed = await add('c', '--accept-host-key');
    expect(changed.code).toBe(1);
    expect(changed.err).toContain('has changed');
    expect(changed.err).toContain(key.fingerprint);
    expect(changed.err).toContain(other.fingerprint);
    expect(readFileSync(line.config('known_hosts'), 'utf8')).toBe(known);
    expect(workersToml()).not.toContain('id = "c"');
  });

  it('cannot be had from a host that is not there', async () => {
    await host(freshKey().pem);
    const silent = port;
    await unhost();
    const said = await line.say([
      'workers',
      'add',
      '--id',
      'a',
      '--host',
      '127.0.0.1',
      '--port',
      String(silent),
    ]);
    await host(freshKey().pem);
    expect(said.code).toBe(1);
    expect(said.err).toContain('127.0.0.1 cannot be reached');
  });
});
