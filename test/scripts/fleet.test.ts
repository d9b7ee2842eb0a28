import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { Fleet, noFleet } from '../rig/fleet.ts';

const script = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'scripts', 'fleet');

describe.skipIf(noFleet !== undefined)('the fleet', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.up('fleet', 1, { bare: 1 });
  }, 900_000);
  afterAll(async () => {
    await fleet.release();
    for (const worker of fleet.workers) expect(existsSync(worker.home)).toBe(false);
  });

  /** By ssh, as the worker's own account. */
  function asUser(index: number, line: string): string {
    const worker = fleet.worker(index);
    const options = [
      '-F',
      'none',
      '-o',
      'ConnectTimeout=15',
      '-o',
      `UserKnownHostsFile=${worker.knownHosts}`,
      '-i',
      worker.identityFile,
    ];
    return execFileSync('ssh', [...options, `${worker.user}@${worker.host}`, line], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  }

  test('has workers under accounts of their own, with a compiler or bare, without Node or a way out', () => {
    expect(
      asUser(
        0,
        'whoami; hostname; command -v gcc cmake ninja meson; command -v node cargo bwrap; true',
      ).split('\n'),
    ).toEqual([
      'builder1',
      'worker1',
      '/usr/bin/gcc',
      '/usr/bin/cmake',
      '/usr/bin/ninja',
      '/usr/bin/meson',
    ]);
    expect(asUser(1, 'command -v gcc make node python3 || true')).toBe('');
    expect(asUser(1, 'timeout 2 bash -c "</dev/tcp/192.0.2.1/80" 2>&1 || true')).toContain(
      'Network is unreachable',
    );
  });

  test('lets sessions make user namespaces with mounts and processes of their own', () => {
    expect(
      asUser(1, 'unshare -Urmpf --mount-proc sh -c "mount -t tmpfs none /mnt && echo $$"'),
    ).not.toBe('');
    expect(asUser(1, 'unshare -Urmpf --mount-proc sh -c "echo /proc/[0-9]*"')).toBe('/proc/1');
  });

  test('is brought up once, and a worker without power comes back with its disk', async () => {
    const before = fleet.workers.map((worker) => worker.root);
    const again = await fleet.plugIn();
    expect(again.workers.map((worker) => worker.root)).toEqual(before);
    asUser(0, 'echo kept > note');
    await fleet.unplug(0);
    expect(() => asUser(0, 'true')).toThrow();
    fleet = await fleet.plugIn();
    expect(asUser(0, 'cat note')).toBe('kept');
    expect(fleet.worker(1).root).toBe(before[1]);
  });

  test('whose owner died is taken down by the next one', async () => {
    // Alive for now: a fleet that another test brings up meanwhile is a next one, too.
    const owner = spawn('sleep', ['600'], { stdio: 'ignore' });
    await once(owner, 'spawn');
    const orphan = `orphan-${process.pid}`;
    execFileSync(script, ['up', '1', '--bare'], {
      env: { ...process.env, RCH_FLEET: orphan, RCH_FLEET_OWNER: String(owner.pid) },
      stdio: 'ignore',
    });
    const fleets = dirname(dirname(fleet.worker(0).identityFile));
    expect(readdirSync(fleets)).toContain(orphan);
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    execFileSync(script, ['up', '1'], {
      env: { ...process.env, RCH_FLEET: `fleet-${process.pid}` },
      stdio: 'ignore',
    });
    await expect.poll(() => readdirSync(fleets)).not.toContain(orphan);
  });
});

/** A folder before PATH with programs of these names and texts. */
function programs(texts: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'rch-fleet-bin-'));
  for (const [name, text] of Object.entries(texts))
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return folder;
}

describe.skipIf(noFleet !== undefined)('the base of a fleet', () => {
  it.each([
    ['the mirror never answers', 'echo asked >>"$RCH_FLEET_TOP/asked"; exit 1', 3],
    [
      'its packages do not come',
      'echo asked >>"$RCH_FLEET_TOP/asked"; ' +
        'mkdir -p "$4/etc/apt/apt.conf.d" "$4/etc/dpkg/dpkg.cfg.d" "$4/usr/sbin"',
      1,
    ],
  ])('is not taken for made where %s', (_, debootstrap, times) => {
    const bin = programs({ debootstrap, sleep: '' });
    const top = mkdtempSync(join(tmpdir(), 'rch-fleet-top-'));
    try {
      const PATH = `${bin}:${process.env['PATH'] ?? ''}`;
      const env = { ...process.env, RCH_FLEET_TOP: top, PATH };
      const ended = spawnSync(script, ['base', '--bare'], { env, encoding: 'utf8' });
      expect(ended.status, ended.stderr).not.toBe(0);
      expect(ended.stderr).toContain('debootstrap failed');
      expect(existsSync(join(top, 'base', 'bare'))).toBe(false);
      expect(readFileSync(join(top, 'asked'), 'utf8')).toBe('asked\n'.repeat(times));
    } finally {
      for (const folder of [bin, top]) rmSync(folder, { recursive: true });
    }
  });
});
