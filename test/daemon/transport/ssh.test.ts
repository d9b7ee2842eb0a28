import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { acceptHostKey, hostKeyOf } from '../../../daemon/transport/accept.ts';
import { connect } from '../../../daemon/transport/connect.ts';
import type { TransportNeeds, UploadProgress } from '../../../daemon/transport/transport.ts';
import { ok } from '../../../src/base/result.ts';
import { Fleet, noFleet, Relay, type FleetWorker } from '../../rig/fleet.ts';
import { echoed, failureOf, Installation, sshWorker, take, valueOf } from './standin.ts';

describe.skipIf(noFleet !== undefined)('ssh to a real worker', () => {
  let fleet: Fleet;
  let here: Installation;
  let needs: TransportNeeds;

  beforeAll(async () => {
    fleet = await Fleet.up('transport', 2, { bare: 1 });
    here = new Installation();
    needs = { layout: here.layout, sshConfig: here.sshConfig };
  }, 900_000);
  beforeEach(() => {
    here.know(...fleet.workers);
  });
  afterAll(async () => {
    await here.remove();
    await fleet.release();
  });

  const first = (): FleetWorker => fleet.worker(0);
  const second = (): FleetWorker => fleet.worker(1);
  const bare = (): FleetWorker => fleet.worker(2);

  const cacheOf = (user: string): string => `/home/${user}/.cache`;

  test('a bare worker gets agent and Node by the first connection, and nothing by the second', async () => {
    await fleet.inside(bare(), 'rm', '-rf', cacheOf(bare().user));
    const seen: UploadProgress[] = [];
    const watched = { ...needs, progress: (progress: UploadProgress) => seen.push(progress) };
    const connection = valueOf(await connect(sshWorker(bare()), watched));
    expect(await echoed(valueOf(await connection.openStream()), 'hello')).toBe('hello');
    expect([...new Set(seen.map((each) => each.part))]).toEqual(['node', 'agent']);
    expect(seen.at(-1)?.bytes).toBe(seen.at(-1)?.total);
    connection.close();
    await connection.closed;
    const before = seen.length;
    const again = valueOf(await connect(sshWorker(bare()), watched));
    expect(await echoed(valueOf(await again.openStream()), 'again')).toBe('again');
    expect(seen.length).toBe(before);
    again.close();
    const folder = `${cacheOf(bare().user)}/rch-wkr`;
    expect((await fleet.inside(bare(), 'stat', '-c', '%a', folder)).trim()).toBe('700');
    expect(
      await fleet.inside(bare(), 'sh', '-c', `ls -A ${folder}/agents ${folder}/node`),
    ).not.toContain('.new-');
  });

  test('the agent outlives the connection', async () => {
    const before = valueOf(await connect(sshWorker(bare()), needs));
    const agents = (): Promise<string> =>
      fleet.inside(
        bare(),
        'sh',
        '-c',
        'for p in /proc/[0-9]*; do tr "\\0" " " <$p/cmdline | grep -q "serve --folde[r]" && echo ${p#/proc/}; done; true',
      );
    const running = await agents();
    expect(running.trim()).not.toBe('');
    before.close();
    await before.closed;
    const after = valueOf(await connect(sshWorker(bare()), needs));
    expect(await agents()).toBe(running);
    after.close();
  });

  test('noise from the login shell is skipped', async () => {
    const worker = first();
    const bashrc = join(worker.home, '.bashrc');
    const before = readFileSync(bashrc);
    writeFileSync(
      bashrc,
      'echo "Welcome! rch-agent rch-begin"; printf "\\0bytes\\377\\n"; seq 1 5000; echo warned >&2\n',
    );
    try {
      const connection = valueOf(await connect(sshWorker(worker), needs));
      expect(await echoed(valueOf(await connection.openStream()), 'through')).toBe('through');
      connection.close();
    } finally {
      writeFileSync(bashrc, before);
    }
  });

  test('a login shell that never stops printing is a failure in words', async () => {
    const worker = first();
    const bashrc = join(worker.home, '.bashrc');
    const before = readFileSync(bashrc);
    writeFileSync(bashrc, 'yes welcome\n');
    try {
      expect(failureOf(await connect(sshWorker(worker), needs))).toMatch(
        /does not speak our protocol.*welcome/s,
      );
    } finally {
      writeFileSync(bashrc, before);
    }
  });

  test('an unknown key is refused with its fingerprint, and accepted once the user has said so', async () => {
    const worker = first();
    here.know();
    const expected = execFileSync('ssh-keygen', ['-lf', worker.knownHosts], {
      encoding: 'utf8',
    }).split(' ')[1];
    const refused = failureOf(await connect(sshWorker(worker), needs));
    expect(refused).toContain(`${expected}`);
    expect(refused).toContain('not known');
    const key = valueOf(
      await hostKeyOf({ host: worker.host, port: worker.port, user: worker.user }, needs),
    );
    expect(key.fingerprint).toBe(expected);
    expect(key.known).toBe(false);
    await acceptHostKey(here.layout, key);
    const connection = valueOf(await connect(sshWorker(worker), needs));
    connection.close();
    expect(valueOf(await hostKeyOf({ host: worker.host }, needs)).known).toBe(true);
  });

  test('a changed key is refused with both fingerprints', async () => {
    const worker = first();
    const other = readFileSync(bare().knownHosts, 'utf8').split(' ').slice(1).join(' ');
    writeFileSync(join(here.layout.config, 'known_hosts'), `${worker.host} ${other}`);
    const refused = failureOf(await connect(sshWorker(worker), needs));
    expect(refused).toContain('has changed');
    expect(refused.match(/SHA256:[A-Za-z0-9+/]{43}/g)?.length).toBe(2);
    expect(failureOf(await hostKeyOf({ host: worker.host }, needs))).toContain('has changed');
  });

  test('a revoked key is refused though it is listed as known, too', async () => {
    const worker = first();
    const line = readFileSync(worker.knownHosts, 'utf8');
    writeFileSync(join(here.layout.config, 'known_hosts'), `${line}@revoked ${line}`);
    expect(failureOf(await connect(sshWorker(worker), needs))).toContain('revoked');
  });

  test('hashed entries and those of a port are found', async () => {
    const worker = first();
    const relay = await Relay.open(worker);
    const key = readFileSync(worker.knownHosts, 'utf8').split(' ').slice(1).join(' ');
    const file = join(here.layout.config, 'known_hosts');
    writeFileSync(file, `[127.0.0.1]:${relay.port} ${key}`);
    execFileSync('ssh-keygen', ['-q', '-H', '-f', file], { stdio: 'ignore' });
    expect(readFileSync(file, 'utf8')).toMatch(/^\|1\|/);
    const connection = valueOf(
      await connect(sshWorker(worker, { host: '127.0.0.1', port: relay.port }), needs),
    );
    connection.close();
    await relay.close();
  });

  test('a key the worker does not know is named in the failure', async () => {
    const wrong = join(here.root, 'wrong-key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', wrong]);
    const refused = failureOf(await connect(sshWorker(first(), { identityFile: wrong }), needs));
    expect(refused).toContain(`${wrong} (ssh-ed25519 SHA256:`);
    expect(refused).toContain('ssh-copy-id');
  });

  test('an identity file that others can read is refused before anything is sent', async () => {
    const open = join(here.root, 'open-key');
    copyFileSync(first().identityFile, open);
    chmodSync(open, 0o640);
    const refused = failureOf(await connect(sshWorker(first(), { identityFile: open }), needs));
    expect(refused).toContain('mode 0640');
    expect(refused).toContain(`chmod 600 ${open}`);
  });

  test('a key of ssh_config that others can read is mended before another one is brought there', async () => {
    const open = join(here.root, 'loose-key');
    copyFileSync(first().identityFile, open);
    chmodSync(open, 0o644);
    writeFileSync(
      here.sshConfig,
      `UserKnownHostsFile none\nIdentityFile ${open}\nIdentitiesOnly yes\n`,
    );
    try {
      const worker = { ...sshWorker(first()), identityFile: undefined };
      const refused = failureOf(await connect(worker, needs));
      expect(refused).toMatch(/loose-key was not used, since others can read it/);
      expect(refused).toMatch(/chmod 600 \S+loose-key; or ssh-copy-id /);
    } finally {
      writeFileSync(here.sshConfig, 'UserKnownHostsFile none\n');
    }
  });

  test('an encrypted identity file without an agent is named', async () => {
    const locked = join(here.root, 'locked-key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-f', locked]);
    const agent = process.env['SSH_AUTH_SOCK'];
    delete process.env['SSH_AUTH_SOCK'];
    try {
      const refused = failureOf(await connect(sshWorker(first(), { identityFile: locked }), needs));
      expect(refused).toContain('is encrypted');
      expect(refused).toMatch(/eval \$\(ssh-agent\); ssh-add \S+locked-key.*; or ssh-copy-id /);
      const half = sshWorker(first(), { identityFile: `${locked}.pub` });
      expect(failureOf(await connect(half, needs))).toMatch(
        /is the public half of a key.* ssh-add \S+locked-key;/,
      );
      const none = sshWorker(first(), { identityFile: '/no/such' });
      expect(failureOf(await connect(none, needs))).toContain('file /no/such does not exist');
    } finally {
      if (agent !== undefined) process.env['SSH_AUTH_SOCK'] = agent;
    }
  });

  test('a key that only ssh-agent can use is used', async () => {
    const socket = join(here.root, 'agent.sock');
    const key = join(here.root, 'agent-key');
    copyFileSync(first().identityFile, key);
    copyFileSync(`${first().identityFile}.pub`, `${key}.pub`);
    chmodSync(key, 0o600);
    const started = execFileSync('ssh-agent', ['-a', socket], { encoding: 'utf8' });
    const pid = Number(/SSH_AGENT_PID=(\d+)/.exec(started)?.[1]);
    try {
      execFileSync('ssh-add', ['-q', key], {
        env: { ...process.env, SSH_AUTH_SOCK: socket },
        stdio: 'ignore',
      });
      execFileSync('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'secret', '-f', key], {
        stdio: 'ignore',
      });
      writeFileSync(here.sshConfig, `UserKnownHostsFile none\nIdentityAgent ${socket}\n`);
      const connection = valueOf(await connect(sshWorker(first(), { identityFile: key }), needs));
      connection.close();
    } finally {
      process.kill(pid);
      writeFileSync(here.sshConfig, 'UserKnownHostsFile none\n');
    }
  });

  test('hosts that cannot be reached say why', async () => {
    const worker = first();
    const refused = failureOf(await connect(sshWorker(worker, { port: 2222 }), needs));
    expect(refused).toContain(':2222 refuses connections');
    const nowhere = failureOf(
      await connect(sshWorker(worker, { host: 'no-such-host.invalid' }), needs),
    );
    expect(nowhere).toContain('no-such-host.invalid cannot be resolved');
    // TEST-NET-1 (RFC 5737): nobody answers; the kernel would wait for minutes.
    const silent = failureOf(
      await connect(sshWorker(worker, { host: '192.0.2.1', sshTimeoutMs: 500 }), needs),
    );
    expect(silent).toMatch(/does not answer|no way to|refuses/);
  });

  test('what is no SSH server is not waited for without end', async () => {
    const relay = await Relay.open(first());
    await relay.command({ frozen: true });
    const failed = failureOf(
      await connect(
        sshWorker(first(), { host: '127.0.0.1', port: relay.port, sshTimeoutMs: 700 }),
        needs,
      ),
    );
    expect(failed).toContain('did not complete the SSH login');
    await relay.close();
  });

  test('an attempt can be called off', async () => {
    const stop = new AbortController();
    const relay = await Relay.open(first());
    await relay.command({ frozen: true });
    const attempt = connect(sshWorker(first(), { host: '127.0.0.1', port: relay.port }), {
      ...needs,
      signal: stop.signal,
    });
    setImmediate(() => {
      stop.abort();
    });
    expect(failureOf(await attempt)).toContain('called off');
    await relay.close();
  });

  test('a jump host named in ssh_config is passed', async () => {
    const [jump, target] = [first(), second()];
    writeFileSync(
      here.sshConfig,
      `UserKnownHostsFile none\nHost behind\n  HostName ${target.host}\n  User ${target.user}\n  ProxyJump ${jump.user}@${jump.host}:${jump.port}\n` +
        `Host *\n  IdentityFile ${jump.identityFile}\n  IdentitiesOnly yes\n`,
    );
    try {
      const worker = sshWorker(target, {
        host: 'behind',
        port: undefined,
        user: undefined,
        identityFile: undefined,
      });
      const connection = valueOf(await connect(worker, needs));
      expect(await echoed(valueOf(await connection.openStream()), 'far')).toBe('far');
      const log = readFileSync(target.log, 'utf8');
      expect(log).toContain(`Accepted publickey for ${target.user} from ${jump.host}`);
      connection.close();
    } finally {
      writeFileSync(here.sshConfig, 'UserKnownHostsFile none\n');
    }
  });

  test('a ProxyCommand is left to the ssh of the system', async () => {
    const [jump, target] = [first(), second()];
    const jumpKnown = join(here.root, 'jump_known');
    copyFileSync(jump.knownHosts, jumpKnown);
    writeFileSync(
      here.sshConfig,
      `UserKnownHostsFile none\nHost behind\n  HostName ${target.host}\n  User ${target.user}\n  IdentityFile ${jump.identityFile}\n` +
        `  ProxyCommand ssh -F none -o UserKnownHostsFile=${jumpKnown} -i ${jump.identityFile} -W %h:%p ${jump.user}@${jump.host}\n`,
    );
    try {
      const worker = sshWorker(target, {
        host: 'behind',
        port: undefined,
        user: undefined,
        identityFile: undefined,
      });
      const connection = valueOf(await connect(worker, needs));
      const [one, two] = [
        valueOf(await connection.openStream()),
        valueOf(await connection.openStream()),
      ];
      expect(await echoed(one, 'first')).toBe('first');
      expect(await echoed(two, 'second')).toBe('second');
      connection.close();
      await connection.closed;
      here.know();
      expect(failureOf(await connect(worker, needs))).toMatch(/host key/i);
    } finally {
      writeFileSync(here.sshConfig, 'UserKnownHostsFile none\n');
    }
  });

  test('a host that offers only what ssh2 lacks is left to the ssh of the system', async () => {
    const worker = first();
    const pidFile = '/run/newer-sshd.pid';
    await fleet.inside(
      worker,
      '/usr/sbin/sshd',
      ...['-p', '2222', '-o', `PidFile=${pidFile}`],
      ...['-o', 'KexAlgorithms=sntrup761x25519-sha512@openssh.com'],
    );
    const at = sshWorker(worker, { port: 2222 });
    try {
      here.know();
      expect(failureOf(await connect(at, needs))).toMatch(/host key/i);
      here.know(worker);
      const connection = valueOf(await connect(at, needs));
      expect(await echoed(valueOf(await connection.openStream()), 'through')).toBe('through');
      connection.close();
    } finally {
      await fleet.inside(worker, 'sh', '-c', `kill $(cat ${pidFile})`);
    }
  }, 60_000);

  test('a full disk on the worker is told, and leaves no half agent', async () => {
    const cache = cacheOf(bare().user);
    await fleet.inside(
      bare(),
      'sh',
      '-c',
      `rm -rf ${cache}; mkdir ${cache}; mount -t tmpfs -o size=20m,mode=777 tmpfs ${cache}`,
    );
    try {
      expect(failureOf(await connect(sshWorker(bare()), needs))).toContain(
        'disk of the worker is full',
      );
      // Room by what df says, but not in truth: a quota shows itself only when writing.
      await fleet.inside(
        bare(),
        'sh',
        '-c',
        `umount ${cache}; mount -t tmpfs -o size=4g,nr_inodes=9,mode=777 tmpfs ${cache}`,
      );
      expect(failureOf(await connect(sshWorker(bare()), needs))).toContain(
        'disk of the worker is full',
      );
      expect(
        (
          await fleet.inside(
            bare(),
            'sh',
            '-c',
            `find ${cache}/rch-wkr -name ".new-*" -o -path "*/agents/*"`,
          )
        ).trim(),
      ).toBe('');
    } finally {
      await fleet.inside(bare(), 'sh', '-c', `umount ${cache}; rm -rf ${cache}`);
    }
  });

  test('a home mounted noexec and one that cannot be written are told', async () => {
    const worker = first();
    const cache = cacheOf(worker.user);
    await fleet.inside(
      worker,
      'sh',
      '-c',
      `rm -rf ${cache}; mkdir ${cache}; mount -t tmpfs -o noexec,mode=777 tmpfs ${cache}`,
    );
    try {
      expect(failureOf(await connect(sshWorker(worker), needs))).toContain('noexec');
    } finally {
      await fleet.inside(worker, 'umount', cache);
    }
    await fleet.inside(worker, 'sh', '-c', `chown root:root ${cache}; chmod 755 ${cache}`);
    try {
      expect(failureOf(await connect(sshWorker(worker), needs))).toContain('cannot write to');
    } finally {
      await fleet.inside(worker, 'rm', '-rf', cache);
    }
  });

  test('an upload that is cut off leaves no half agent, and the next one goes on where it stopped', async () => {
    await fleet.inside(bare(), 'sh', '-c', `rm -rf ${cacheOf(bare().user)}`);
    const relay = await Relay.open(bare());
    writeFileSync(
      join(here.layout.config, 'known_hosts'),
      `127.0.0.1 ${readFileSync(bare().knownHosts, 'utf8').split(' ').slice(1).join(' ')}`,
    );
    const worker = sshWorker(bare(), { host: '127.0.0.1', port: relay.port });
    await relay.command({ cutAfterSent: 12e6 });
    expect(failureOf(await connect(worker, needs))).toContain('lost');
    const folder = `${cacheOf(bare().user)}/rch-wkr`;
    const said = (script: string): Promise<string> => fleet.inside(bare(), 'sh', '-c', script);
    // The shell of the cut upload hears of it later than we.
    const left = `cd ${folder}/node; while [ -L .part-*.lock ]; do sleep 0.05; done; cat .part-* | wc -c`;
    const held = Number(await said(left));
    expect(held).toBeGreaterThan(1e6);
    expect(await said(`find ${folder} -name ready`)).toBe('');
    const firsts: number[] = [];
    const connection = valueOf(
      await connect(worker, {
        ...needs,
        progress: ({ part, bytes }) => {
          if (part === 'node') firsts.push(bytes);
        },
      }),
    );
    expect(Math.min(...firsts)).toBeGreaterThan(held);
    expect(Math.min(...firsts)).toBeLessThanOrEqual(held + (256 << 10));
    expect(await echoed(valueOf(await connection.openStream()), 'whole')).toBe('whole');
    expect(await said(`ls -A ${folder}/agents ${folder}/node`)).not.toMatch(/\.new-|\.part-/);
    connection.close();
    await relay.close();
  });

  test('a lost connection closes every stream and says so', async () => {
    const relay = await Relay.open(first());
    writeFileSync(
      join(here.layout.config, 'known_hosts'),
      `127.0.0.1 ${readFileSync(first().knownHosts, 'utf8').split(' ').slice(1).join(' ')}`,
    );
    const connection = valueOf(
      await connect(sshWorker(first(), { host: '127.0.0.1', port: relay.port }), needs),
    );
    const streams = [
      valueOf(await connection.openStream()),
      valueOf(await connection.openStream()),
    ];
    const closed = streams.map((stream) => once(stream, 'close'));
    await relay.command({ cut: true });
    await Promise.all(closed);
    expect(streams.every((stream) => stream.destroyed)).toBe(true);
    expect(await connection.closed).not.toBe('');
    expect((await connection.openStream()).ok).toBe(false);
    await relay.close();
  });

  test('several streams share one connection, and more than sshd allows is refused in words', async () => {
    const connection = valueOf(await connect(sshWorker(first()), needs));
    const opened = [];
    for (let count = 0; count < 11; count++) opened.push(await connection.openStream());
    const working = opened.filter((each) => each.ok);
    expect(working.length).toBe(10);
    for (const each of working)
      expect(await echoed(each.value, 'x'.repeat(1000))).toHaveLength(1000);
    expect(failureOf(opened.at(-1) ?? ok(undefined))).toContain('MaxSessions');
    connection.close();
  });

  test('the far side stops sending when we stop reading, and we when it does', async () => {
    const connection = valueOf(await connect(sshWorker(first()), needs));
    const stream = valueOf(await connection.openStream());
    stream.write('hold 1\n');
    const piece = Buffer.alloc(1 << 20);
    let taken = 0;
    while (taken < 64 && stream.write(piece)) taken += 1;
    expect(taken).toBeLessThan(32);
    const other = valueOf(await connection.openStream());
    const memory = process.memoryUsage().rss;
    other.write(`source ${200 << 20}\n`);
    await take(other, 1);
    await once(other, 'readable');
    expect(process.memoryUsage().rss - memory).toBeLessThan(64 << 20);
    expect((await take(other, (200 << 20) - 1)).length).toBe((200 << 20) - 1);
    connection.close();
  });

  test('what an upload of a dead shell left behind is removed by the next one', async () => {
    const base = `${cacheOf(second().user)}/rch-wkr`;
    const owned = join(second().home, '.cache', 'rch-wkr', 'agents');
    mkdirSync(owned, { recursive: true });
    await fleet.inside(
      second(),
      'sh',
      '-c',
      `rm -rf ${base}/agents; mkdir -p ${base}/agents/.new-1 ${base}/agents/.new-999999; chown -R ${second().uid} /home/${second().user}/.cache`,
    );
    const connection = valueOf(await connect(sshWorker(second()), needs));
    connection.close();
    const left = await fleet.inside(second(), 'ls', '-A', `${base}/agents`);
    expect(left).not.toContain('.new-999999');
  });
});
