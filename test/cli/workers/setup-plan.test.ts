/** What a worker's shell says, and what `rch workers setup` makes of it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { layoutFor } from '../../../src/base/layout.ts';
import { installScript, managerOf, packagesOf, withOf } from '../../../src/cli/workers/managers.ts';
import { runScript, type ShellPlace } from '../../../src/cli/workers/remote-shell.ts';
import { namesOf, planFor, queryScript, type Wanted } from '../../../src/cli/workers/setup-plan.ts';
import { permitted, type Step } from '../../../src/cli/workers/step.ts';
import {
  managerNames,
  parseSurvey,
  survey,
  surveyScript,
  unsuited,
  type ManagerName,
  type Survey,
} from '../../../src/cli/workers/survey.ts';
import { workerConfig } from '../../../src/config/worker-schema.ts';

const fit: Survey = {
  ...{ kernel: 'Linux', arch: 'x86_64', release: '6.1', hostname: 'w', user: 'me' },
  ...{ system: 'Debian', libc: 'glibc 2.36', cores: 4, memory: 8e9, diskFree: 1e11 },
  ...{ node: '', managers: ['apt-get'], sudo: 'free', tools: { tar: 't', gzip: 'g' } },
  ...{ namespaces: true, bubblewrap: false, restricted: false, closed: [], systemd: false },
  ...{ kills: false, lingers: false, tookMs: 1 },
};
const nothing: Wanted = { tools: [], named: [], installed: [] };
const layout = layoutFor({ HOME: '/nonexistent' });

function stepsOf(of: Partial<Survey>, wanted: Partial<Wanted> = {}): readonly Step[] {
  const plan = planFor({ ...fit, ...of }, { ...nothing, ...wanted });
  if (!plan.ok) throw new Error(plan.failure.reason);
  return plan.value.steps;
}

describe('a survey', () => {
  const here: ShellPlace = {
    ...{ transport: 'command', command: ['env'] },
    ...{ host: undefined, user: undefined, port: undefined, identityFile: undefined },
  };

  it('is taken by any shell, noise before it or not', async () => {
    const told = await survey(here, ['sh', 'no-such-tool', '$(x)'], { layout });
    if (!told.ok) throw new Error(told.failure.reason);
    const { kernel, cores, memory, diskFree, tools, user } = told.value;
    expect({ kernel, user }).toEqual({
      kernel: 'Linux',
      user: expect.stringMatching(/./) as string,
    });
    expect(Math.min(cores, memory, diskFree)).toBeGreaterThan(0);
    expect(Object.keys(tools)).toEqual(['sh']);
    const text = spawnSync('sh', ['-c', `echo hello; ${surveyScript([])}`], { encoding: 'utf8' });
    expect(parseSurvey(text.stdout)?.kernel).toBe('Linux');
  });

  it('that was cut short is none', () => {
    expect(parseSurvey('rch-survey-begin\nkernel Linux\n')).toBeUndefined();
  });

  it('of a shell that is not there says so', async () => {
    const place = { ...here, command: ['/no/such/program'] };
    expect(await survey(place, [], { layout })).toMatchObject({
      failure: { reason: 'there is no /no/such/program on this machine' },
    });
  });

  it('gives scripts no standard input, and their end back', async () => {
    const ended = await runScript(here, 'cat; exit 7', { layout, timeoutMs: 60_000 });
    expect(ended).toMatchObject({ value: { code: 7, out: '' } });
  });

  it.each<[Partial<Survey>, string | undefined]>([
    [{}, undefined],
    [{ kernel: 'Darwin' }, 'it runs Darwin'],
    [{ arch: 'aarch64' }, 'it is aarch64, this machine x86_64'],
    [{ libc: 'musl libc (x86_64)' }, 'its libc is not glibc (musl libc (x86_64))'],
    [{ libc: 'glibc 2.31' }, 'its libc is glibc 2.31, and ours glibc 2.36'],
    [{ libc: 'ldd (Debian GLIBC 2.41-1) 2.41' }, 'its libc is glibc 2.41, and ours glibc 2.36'],
    [{ libc: 'ldd (Debian GLIBC 2.36-9) 2.36' }, undefined],
  ])('of %j is judged: %s', (of, why) => {
    expect(unsuited({ ...fit, ...of }, { arch: 'x86_64', libc: 'glibc 2.36' })).toBe(why);
  });
});

describe('--with', () => {
  it('takes names alone', () => {
    expect(namesOf('gcc,libssl-dev,gcc')).toEqual({ ok: true, value: ['gcc', 'libssl-dev'] });
    expect(namesOf(undefined)).toEqual({ ok: true, value: [] });
    for (const bad of ['a b', '-x', '$(x)', 'a;b', "a'"]) expect(namesOf(bad).ok, bad).toBe(false);
    expect(namesOf('cargo')).toMatchObject({
      failure: { next: 'rch workers sync ID brings it ahead of the first build' },
    });
  });

  it('is what the mends of others name', () => {
    expect(withOf(['cc', 'gcc', 'c++', 'ld', 'make'])).toBe('gcc,g++,binutils,make');
  });
});

it('waits for another apt-get on the worker', () => {
  const bin = mkdtempSync(join(tmpdir(), 'rch-apt-'));
  // The lists are locked at the first two tries; a worker's sleep is not waited for here.
  const tool = (name: string, line: string): void => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  };
  tool('sleep', ':');
  tool(
    'apt-get',
    `case $1 in update) echo x >>${bin}/tries;; *) echo "installs $*";; esac
case $1 in update) [ "$(wc -l <${bin}/tries)" -gt 2 ] || { echo 'E: Could not get lock /var/lib/apt/lists/lock' >&2; exit 100; };; esac`,
  );
  try {
    const said = execFileSync('sh', ['-c', installScript(managerOf('apt-get'), ['gcc'])], {
      env: { PATH: `${bin}:/usr/bin:/bin` },
      encoding: 'utf8',
    });
    expect(readFileSync(join(bin, 'tries'), 'utf8')).toBe('x\nx\nx\n');
    expect(said).toMatch(/Could not get lock[^]*installs install .*gcc\n$/);
  } finally {
    rmSync(bin, { recursive: true });
  }
});

describe('each package manager', () => {
  const scripts: Readonly<Record<ManagerName, string>> = {
    'apt-get':
      "n=0; while LC_ALL=C apt-get update -q 2>&1 | awk '{ print } /Could not get lock/ { l = 1 } END { exit !l }' && " +
      '[ $n -lt 40 ]; do n=$((n+1)); sleep 3; done\nenv DEBIAN_FRONTEND=noninteractive apt-get install -y -q ' +
      '--no-install-recommends -o DPkg::Lock::Timeout=60 gcc libc6-dev ninja-build',
    dnf: 'dnf install -y gcc glibc-devel ninja-build',
    pacman: 'pacman -S --needed --noconfirm gcc ninja',
    zypper:
      'zypper --non-interactive refresh || true\nzypper --non-interactive install gcc glibc-devel ninja',
    apk: 'apk update || true\napk add gcc musl-dev ninja-build',
    brew: 'brew install gcc ninja',
  };

  it.each(managerNames)('%s installs tools by its own names for them', (name) => {
    const [step] = stepsOf({ managers: [name] }, { tools: ['gcc', 'ninja'] });
    expect(step).toMatchObject({ id: 'packages', script: scripts[name], root: name !== 'brew' });
    expect(spawnSync('sh', ['-n'], { input: step?.script }).status).toBe(0);
  });

  it.each(managerNames)('%s is asked about packages in a script that sh understands', (name) => {
    const script = queryScript({ ...fit, managers: [name] }, ['libssl-dev', 'x']) ?? '';
    expect(script).toContain('installed libssl-dev');
    expect(spawnSync('sh', ['-n'], { input: script }).status).toBe(0);
  });

  it('takes what is no tool for a package', () => {
    expect(packagesOf(managerOf('apt-get'), 'libssl-dev')).toEqual(['libssl-dev']);
    expect(packagesOf(managerOf('dnf'), 'g++')).toEqual(['gcc-c++']);
    expect(packagesOf(managerOf('apt-get'), 'constructor')).toEqual(['constructor']);
  });
});

describe('the plan', () => {
  it('is empty where nothing is missing', () => {
    expect(stepsOf({})).toEqual([]);
    const tools = { tar: '', gzip: '', make: '' };
    expect(stepsOf({ tools }, { tools: ['make'], named: ['libx'], installed: ['libx'] })).toEqual(
      [],
    );
  });

  it('brings what an agent needs', () => {
    expect(stepsOf({ tools: {} })[0]?.what).toBe('install tar gzip by apt-get');
  });

  it.each<[string, Partial<Survey>, readonly string[]]>([
    ['no namespaces', { namespaces: false }, ['packages']],
    ['AppArmor', { namespaces: false, restricted: true }, ['packages', 'apparmor']],
    [
      'AppArmor, bubblewrap there',
      { namespaces: false, restricted: true, tools: { ...fit.tools, bwrap: '' } },
      ['apparmor'],
    ],
    ['bubblewrap works', { namespaces: false, bubblewrap: true, restricted: true }, []],
    [
      'a kernel that forbids it',
      { namespaces: false, closed: ['user.max_user_namespaces=15000'] },
      ['namespaces'],
    ],
    ['logind kills', { systemd: true, kills: true }, ['linger']],
    ['logind kills, but the account lingers', { systemd: true, kills: true, lingers: true }, []],
  ])('mends a sandbox or session: %s', (_, of, ids) => {
    const steps = stepsOf(of);
    expect(steps.map(({ id }) => id)).toEqual(ids);
    for (const { script } of steps)
      expect(spawnSync('sh', ['-n'], { input: script }).status).toBe(0);
  });

  it('leaves a profile of the distribution alone', () => {
    const restricted = { namespaces: false, restricted: true };
    const script = stepsOf(restricted).find(({ id }) => id === 'apparmor')?.script ?? '';
    const pattern = /grep -rqsE '([^']+)'/.exec(script)?.[1] ?? '';
    const owns = (line: string): boolean =>
      spawnSync('grep', ['-qsE', pattern], { input: `${line}\n` }).status === 0;
    expect(owns('profile bwrap /usr/bin/bwrap flags=(attach_disconnected) {')).toBe(true);
    expect(owns('/usr/bin/bwrap {')).toBe(true);
    expect(owns('  /usr/bin/bwrap Cx -> unpriv_bwrap,')).toBe(false);
    expect(owns('# profile bwrap /usr/bin/bwrap {')).toBe(false);
  });

  it('opens namespaces now and after the next start', () => {
    const [step] = stepsOf({ namespaces: false, closed: ['kernel.unprivileged_userns_clone=1'] });
    expect(step?.script).toContain('kernel.unprivileged_userns_clone=1 >/etc/sysctl.d/60-rch.conf');
    expect(step?.script).toContain('echo 1 >/proc/sys/kernel/unprivileged_userns_clone');
  });

  it('fails where nobody could install what is missing', () => {
    const plan = planFor({ ...fit, managers: [] }, { ...nothing, tools: ['gcc'] });
    expect(plan).toMatchObject({ failure: { next: 'install there: gcc' } });
    const brew = planFor({ ...fit, managers: ['brew'], namespaces: false }, nothing);
    expect(brew).toMatchObject({ failure: { reason: 'brew has no package for bubblewrap' } });
  });
});

describe("root's part", () => {
  const worker = workerConfig.parse({ id: 'css', host: 'h', user: 'me', port: 2222 });
  const steps = stepsOf({}, { tools: ['make'] });

  it.each([['root'], ['free']] as const)('is done where sudo is %s', (sudo) => {
    expect(permitted(worker, steps, { ...fit, sudo })).toEqual({ ok: true, value: undefined });
  });

  it('is left to a person where sudo asks or is not there', () => {
    const asks = permitted(worker, steps, { ...fit, sudo: 'asks' });
    expect(asks.ok ? '' : asks.failure.next).toMatch(/^ssh -t -p 2222 me@h 'sudo sh -c /);
    const none = permitted(worker, steps, { ...fit, sudo: 'none' });
    expect(none.ok ? '' : none.failure.next).toMatch(
      /^as root on css: sh -c 'n=0; while LC_ALL=C apt-get update/,
    );
    expect(permitted(worker, [], { ...fit, sudo: 'none' }).ok).toBe(true);
  });
});
