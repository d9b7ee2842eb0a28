/** Who may see and do what: other accounts here and there, a hardened sshd, secrets, and two users of one worker. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet, noFleet, type FleetWorker } from '../rig/fleet.ts';
import { ended, World, type Account, type Ended } from '../rig/world.ts';
import { write, type Files } from './projects.ts';
import { tiny, until, within, words } from './trouble.ts';

/** The plan's settings for workers (its chapter 15.4), as README gives them. */
const hardened = `PasswordAuthentication no
KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org
AllowUsers builder1 mate
AllowTcpForwarding no
X11Forwarding no
AllowAgentForwarding no
`;

/** Another account of this machine, and of the worker. */
const nobody: Account = { uid: 65_534, gid: 65_534 };
const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
const force: Files = { RCH_FORCE_REMOTE: '1' };

let fleet: Fleet;
let worker: FleetWorker;
let world: World;
let other: World;
let base: string;

/** Runs a shell line in the worker, as root. */
function there(line: string): Promise<string> {
  return fleet.inside(worker, 'sh', '-c', line);
}

/** How a command of the account nobody ends there. */
async function nobodys(...argv: readonly string[]): Promise<string> {
  const quoted = [...asNobody, ...argv].map((word) => `'${word}'`).join(' ');
  return there(`${quoted} 2>&1; echo "exit $?"`);
}

function workersToml(user: string, key = worker.identityFile): string {
  return `[[workers]]\nid = "worker1"\nhost = "${worker.host}"\nuser = "${user}"\nidentity_file = "${key}"\ntotal_slots = 2\n`;
}

/** A project of the world's user. */
function project(of: World, files: Files): string {
  const folder = mkdtempSync(join(base, 'p'));
  write(folder, files);
  of.own(folder);
  return folder;
}

async function remotely(of: World, folder: string, env: Files = {}): Promise<Ended> {
  const done = await within(of.run(['make'], { cwd: folder, env: { ...force, ...env } }));
  expect(done.code, words(done)).toBe(0);
  const [row] = await of.history(1);
  expect(row, row?.reason).toMatchObject({ decision: 'remote', worker: 'worker1', exit: 0 });
  return done;
}

/** A second account on the worker, reached by the same key. */
async function addMate(): Promise<void> {
  await there(`echo 'mate:x:2100:2100::/home/mate:/bin/bash' >>/etc/passwd
echo 'mate:x:2100:' >>/etc/group
echo 'mate:*:19000:0:99999:7:::' >>/etc/shadow
mkdir -p /home/mate/.ssh
cp /home/builder1/.ssh/authorized_keys /home/mate/.ssh/
chmod 755 /home/mate; chmod 700 /home/mate/.ssh; chown -R 2100:2100 /home/mate`);
}

describe.skipIf(noFleet !== undefined)('a worker with a hardened sshd', () => {
  beforeAll(async () => {
    fleet = await Fleet.up('guard', 1);
    worker = fleet.worker(0);
    await addMate();
    await there(
      `printf '${hardened.replaceAll('\n', '\\n')}' | cat - /etc/ssh/sshd_config >/etc/ssh/new`,
    );
    await there('mv /etc/ssh/new /etc/ssh/sshd_config && sshd -t && kill -HUP 1');
    base = mkdtempSync(join(tmpdir(), 'rch-guard-'));
    chmodSync(base, 0o755);
    world = await World.create(workersToml('builder1'));
    world.writeConfig('known_hosts', fleet.knownHosts());
    await world.start();
    other = await World.create('', '', nobody);
    const key = join(other.root, 'key');
    copyFileSync(worker.identityFile, key);
    other.own(key);
    other.writeConfig('known_hosts', fleet.knownHosts());
    other.writeConfig('workers.toml', workersToml('builder1', key));
    for (const path of [other.root, other.home]) chmodSync(path, 0o755);
    await other.start();
  }, 900_000);
  afterAll(async () => {
    await world.dispose();
    await other.dispose();
    await fleet.release();
    rmSync(base, { recursive: true, force: true });
  });

  it('builds, though it forwards nothing and lets nobody else in', async () => {
    const ssh = ['-F', 'none', '-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes'].concat([
      '-o',
      `UserKnownHostsFile=${worker.knownHosts}`,
      '-i',
      worker.identityFile,
    ]);
    const tried = (...argv: string[]): string =>
      spawnSync('ssh', [...ssh, ...argv], { encoding: 'utf8', input: '' }).stderr;
    await until(
      () =>
        Promise.resolve(
          tried('-W', 'localhost:22', `builder1@${worker.host}`).includes('prohibited'),
        ),
      'did sshd take its new settings',
    );
    expect(tried(`root@${worker.host}`, 'true')).toContain('Permission denied');
    const folder = project(world, tiny);
    await remotely(world, folder);
    expect(execFileSync(join(folder, 'x'), { encoding: 'utf8' })).toBe('42\n');
  });

  it('keeps the sources and the agent of one account from another', async () => {
    const folder = project(world, { ...tiny, 'secret.h': '// nobody is to see this\n' });
    await remotely(world, folder);
    const agent = `/home/builder1/.cache/rch-wkr`;
    const source = (await there(`find ${agent}/trees -name secret.h`)).trim().split('\n')[0] ?? '';
    expect(await there(`cat '${source}'`)).toContain('nobody is to see');
    for (const path of [source, `${agent}/log/agent.log`])
      expect(await nobodys('cat', path)).toMatch(/Permission denied\s+exit 1/);
    expect(await nobodys('ls', agent)).toMatch(/Permission denied\s+exit 2/);
    expect(await there(`find ${agent} -maxdepth 2 -type d ! -perm 0700`)).toBe('');
    // A program of theirs that speaks to agents gets no further than the folder of the socket.
    await there(`cp ${agent}/agents/*/rch-run /tmp/attach && chmod 755 /tmp/attach`);
    const socket = (await there(`ls ${agent}/run/*.sock`)).trim();
    const attach = `/tmp/attach attach ${socket} </dev/null | tr -d '\\0'`;
    expect(
      await there(`setpriv --reuid=2001 --regid=2001 --clear-groups sh -c "${attach}"`),
    ).toContain('rch-agent');
    expect(await nobodys('sh', '-c', attach)).not.toContain('rch-agent');
  });

  it('never sees a secret, and no value of the environment but in the tool itself', async () => {
    const folder = project(world, {
      Makefile: 'all:\n\t@printf %s "$$PLAIN" | wc -c\n\t@env\n\t@echo dumped\n\t@read x\n',
    });
    const values = {
      PLAIN: `plain-${process.pid}-value`,
      DEPLOY_TOKEN: `token-${process.pid}-value`,
    };
    const child = world.spawn(['make'], { cwd: folder, env: { ...force, ...values } });
    const end = ended(child);
    let seen = '';
    child.stdout?.on('data', (chunk: Buffer) => (seen += chunk.toString()));
    await until(() => Promise.resolve(seen.includes('dumped\n')), 'did it run');
    expect(seen).toMatch(new RegExp(`^${values.PLAIN.length}\n`));
    expect(seen).toContain(`PLAIN=${values.PLAIN}\n`);
    expect(seen).not.toContain('DEPLOY_TOKEN');
    const lines = await there('ps -eo args');
    expect(lines).toContain('read x');
    expect(lines).not.toMatch(/plain-|token-/);
    const holders = await there(
      `grep -l '${values.DEPLOY_TOKEN}' /proc/[0-9]*/environ 2>/dev/null || true`,
    );
    expect(holders).toBe('');
    child.stdin?.end('\n');
    expect((await within(end)).code).toBe(0);
    const found = (value: string): string =>
      `grep -rlF -- '${value}' /home /tmp /var/tmp /run 2>/dev/null || true`;
    for (const value of Object.values(values)) {
      expect(await there(found(value))).toBe('');
      const here = spawnSync('grep', ['-rlF', value, world.home], { encoding: 'utf8' });
      expect(here.stdout).toBe('');
    }
    const why = JSON.parse(await world.rch(['why', '--json'])) as {
      details: { withheldEnv: string[] };
    };
    expect(why.details.withheldEnv).toContain('DEPLOY_TOKEN');
  });

  it('gets no build that says it would read a secret', async () => {
    const folder = project(world, { Makefile: 'all:\n\t@printf %s "$$DEPLOY_TOKEN" | wc -c\n' });
    const DEPLOY_TOKEN = `token-${process.pid}-value`;
    const end = await within(world.run(['make'], { cwd: folder, env: { ...force, DEPLOY_TOKEN } }));
    expect(end.code, words(end)).toBe(0);
    expect(end.stdout.toString()).toBe(`${DEPLOY_TOKEN.length}\n`);
    const [row] = await world.history(1);
    expect(row).toMatchObject({ decision: 'local' });
    expect(row?.reason).toContain('the variable DEPLOY_TOKEN, which is not given to a worker');
  });

  it('serves two users of two machines in one account, who never have more slots than there are', async () => {
    const timed = {
      Makefile: 'all:\n\t@date +%s%N >begin; cc x.c -o x; date +%s%N >end\n',
      'x.c': tiny['x.c'] ?? '',
    };
    for (const of of [world, other]) await remotely(of, project(of, tiny));
    const folders = [world, other].flatMap((of) =>
      [1, 2, 3].map(() => ({ of, folder: project(of, timed) })),
    );
    const ends = await within(
      Promise.all(
        folders.map(({ of, folder }) => of.run(['make', '-j2'], { cwd: folder, env: force })),
      ),
    );
    for (const end of ends) expect(end.code, words(end)).toBe(0);
    const rows = [await world.history(3), await other.history(3)];
    const spans: [bigint, bigint][] = [];
    for (const of of rows) {
      const reasons = of.map(({ decision, reason }) => `${decision}: ${reason}`);
      expect(reasons.join('\n')).toContain('remote: ');
      for (const { cwd, decision, reason } of of) {
        // One that found the slots taken at the last moment ran here: it says so.
        if (decision === 'local') expect(reason).toMatch(/slots are in use/);
        else spans.push([read(cwd, 'begin'), read(cwd, 'end')]);
      }
    }
    spans.sort(([a], [b]) => (a < b ? -1 : 1));
    // Each has both slots while it runs.
    for (const [at, [begin]] of spans.entries())
      if (at > 0) expect(begin > (spans[at - 1]?.[1] ?? 0n)).toBe(true);
  });

  it('serves two users in two accounts, each by an agent of its own; one comes by the system ssh', async () => {
    // What was uploaded for one account serves the other.
    await there(`mkdir -p /home/mate/.cache/rch-wkr && cd /home/builder1/.cache/rch-wkr &&
cp -a agents node /home/mate/.cache/rch-wkr/ && chown -R 2100:2100 /home/mate/.cache &&
chmod 700 /home/mate/.cache/rch-wkr`);
    const known = join(other.home, '.config', 'rch', 'known_hosts');
    const command = JSON.stringify([
      ...['ssh', '-F', 'none', '-o', 'BatchMode=yes', '-o', `UserKnownHostsFile=${known}`],
      ...['-i', join(other.root, 'key'), `mate@${worker.host}`],
    ]);
    const toml = `[[workers]]\nid = "worker1"\ntransport = "command"\ncommand = ${command}\n`;
    other.writeConfig('workers.toml', toml);
    await other.rch(['workers', 'probe', 'worker1']);
    const folders = [world, other].map((of) => ({ of, folder: project(of, tiny) }));
    await Promise.all(folders.map(({ of, folder }) => remotely(of, folder)));
    const agents = await there(
      `ps -eo user:20,args | grep '[r]ch-wkr.mjs serve' | cut -d ' ' -f 1`,
    );
    expect(new Set(agents.trim().split('\n'))).toEqual(new Set(['builder1', 'mate']));
  });

  it('leaves a daemon to its own user: another account here cannot reach it', async () => {
    for (const path of [world.root, world.home, world.data]) chmodSync(path, 0o755);
    const program = `require('net').connect(process.argv[1]).on('connect', () => console.log('in')).on('error', (e) => console.log(e.code))`;
    const socket = (
      JSON.parse(await world.rch(['daemon', 'status', '--json'])) as { socket: string }
    ).socket;
    const tried = (account: object): string =>
      spawnSync(
        process.execPath,
        ['-e', `${program}.on('connect', () => process.exit())`, socket],
        {
          encoding: 'utf8',
          cwd: '/',
          ...account,
        },
      ).stdout.trim();
    expect(tried({})).toBe('in');
    expect(tried(nobody)).toBe('EACCES');
    const link = join(world.data, 'run', 'link-worker1.sock');
    expect(
      spawnSync(process.execPath, ['-e', program, link], {
        encoding: 'utf8',
        cwd: '/',
        ...nobody,
      }).stdout.trim(),
    ).toBe('EACCES');
  });
});

function read(folder: string, name: string): bigint {
  return BigInt(readFileSync(join(folder, name), 'utf8').trim());
}

describe('sandbox.network = false', () => {
  it('leaves a command nothing but a loopback, which works', async () => {
    const alone = await World.create(
      '[[workers]]\nid = "embedded"\ntransport = "embedded"\n',
      '[sandbox]\nnetwork = false\n',
    );
    const folder = mkdtempSync(join(tmpdir(), 'rch-alone-'));
    try {
      await alone.start();
      write(folder, {
        'loop.py':
          "import socket\nserver = socket.create_server(('127.0.0.1', 0))\nsocket.create_connection(server.getsockname())\nprint('loops')\n",
        Makefile: `all:\n\t@tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '\n\t@/usr/bin/python3 loop.py\n`,
      });
      const done = await within(alone.run(['make'], { cwd: folder, env: force }));
      expect(done.code, words(done)).toBe(0);
      expect((await alone.history(1))[0]).toMatchObject({ decision: 'remote', exit: 0 });
      const names = done.stdout.toString().trim().split('\n');
      expect(names.filter((name) => /^(eth|en|wl|rchf)/.test(name))).toEqual([]);
      expect(names).toContain('lo');
      expect(names).toContain('loops');
    } finally {
      await alone.dispose();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
