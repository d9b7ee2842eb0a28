import { describe, expect, it } from 'vitest';
import { askedOf, eligible, toolsOf } from '../../../daemon/select/eligible.ts';
import type { Requirement } from '../../../daemon/select/requirement.ts';
import type { AgentFacts, MachineFacts } from '../../../src/protocol/facts.ts';

const local: MachineFacts = {
  arch: 'x86_64',
  kernel: '6.1',
  libc: 'glibc 2.36',
  hostname: 'here',
  system: 'Debian',
  cores: 8,
  memory: 1,
  diskFree: 1,
  cpuModel: 'a CPU',
  cpuFlags: ['avx', 'avx2', 'fpu', 'smep'],
  packages: { 'libc6-dev': '2.36-9', 'linux-libc-dev': '6.1.187-1', zlib: '1:1.3' },
  packageManager: 'dpkg',
  tools: [{ name: 'cc', path: '/usr/bin/cc', version: 'cc 12', target: 'x86_64-linux-gnu' }],
};

function worker(more: Partial<AgentFacts> = {}): AgentFacts {
  return {
    ...local,
    user: 'u',
    uid: 1,
    folder: '/w',
    node: 'v20',
    agent: '',
    sandbox: { method: 'namespaces', mend: '' },
    totalSlots: 4,
    usedSlots: 0,
    ownSlots: 0,
    roots: {},
    ...more,
  };
}

const cc: Requirement = { kind: 'tool', name: 'cc', path: '/usr/bin/cc', why: 'C is compiled' };
const pack = (name: string, exact: 'version' | 'series' = 'version'): Requirement => ({
  kind: 'package',
  name,
  exact,
  why: 'a header',
});
const absent: Requirement = {
  kind: 'absent',
  name: '<zlib.h>',
  paths: ['/usr/local/include/zlib.h', '/usr/include/zlib.h'],
  why: 'a header',
};
const awk: Requirement = { kind: 'leads', path: '/usr/bin/awk', to: '/usr/bin/mawk', why: 'awk' };
const unshadowed: Requirement = { kind: 'unshadowed', why: 'C' };
const zlib = (there: boolean) => ({
  paths: { '/usr/local/include/zlib.h': false, '/usr/include/zlib.h': there },
});
const leads = (links: Readonly<Record<string, string>>) => ({
  paths: { '/usr/bin/awk': true },
  links,
});
const shadow = '/usr/local/include/zlib.h 12';
const tool = (more: object): AgentFacts =>
  worker({
    tools: [
      { name: 'cc', path: '/usr/bin/cc', version: 'cc 12', target: 'x86_64-linux-gnu', ...more },
    ],
  });

describe('a worker', () => {
  it('that is the same machine is eligible', () => {
    const all: Requirement[] = [
      { kind: 'arch' },
      { kind: 'libc' },
      { kind: 'cpu', why: 'w' },
      cc,
      pack('zlib'),
    ];
    expect(eligible(all, local, worker())).toBeUndefined();
    expect(toolsOf(all)).toEqual(['cc']);
  });

  it.each<[string, Requirement, AgentFacts]>([
    ['aarch64', { kind: 'arch' }, worker({ arch: 'aarch64' })],
    ['glibc 2.31', { kind: 'libc' }, worker({ libc: 'glibc 2.31' })],
    ['glibc 2.39', { kind: 'libc' }, worker({ libc: 'glibc 2.39' })],
    ['CPU is another', { kind: 'cpu', why: 'native' }, worker({ cpuModel: 'b CPU' })],
    ['other features', { kind: 'cpu', why: 'native' }, worker({ cpuFlags: ['fpu'] })],
    [
      'lacks avx2',
      { kind: 'instructions', why: '-mavx2' },
      worker({ cpuFlags: ['avx', 'fpu', 'smep'] }),
    ],
    ['has no cc', cc, worker({ tools: [] })],
    ['/opt/cc', cc, tool({ path: '/opt/cc' })],
    ['cc 13', cc, tool({ version: 'cc 13' })],
    ['riscv64', cc, tool({ target: 'riscv64' })],
    ['lacks the package zlib', pack('zlib'), worker({ packages: {} })],
    ['1.2', pack('zlib'), worker({ packages: { zlib: '1.2' } })],
    ['/usr/include/zlib.h, which is not here', absent, worker(zlib(true))],
    ['not told whether it has /usr/local/include/zlib.h', absent, worker()],
    ['has /usr/local/include/zlib.h in front of', unshadowed, worker({ shadows: [shadow] })],
    ['/usr/bin/gawk there', awk, worker(leads({ '/usr/bin/awk': '/usr/bin/gawk' }))],
    ['/usr/bin/awk is /usr/bin/awk there', awk, worker(leads({}))],
    ['has no /usr/bin/awk', awk, worker({ paths: { '/usr/bin/awk': false } })],
    ['not told whether it has /usr/bin/awk', awk, worker()],
    ["neither machine's list", pack('zlib.x86_64'), worker()],
    ['not installed here', pack('new'), worker({ packages: { new: '1' } })],
    ['rpm', pack('zlib'), worker({ packageManager: 'rpm' })],
    ['6.2', pack('linux-libc-dev', 'series'), worker({ packages: { 'linux-libc-dev': '6.2.1' } })],
  ])('is refused, naming %s', (word, requirement, there) => {
    expect(eligible([requirement], local, there)).toContain(word);
  });

  it('may have more instructions than are here, and lack what only a kernel uses', () => {
    const there = worker({ cpuModel: 'b CPU', cpuFlags: ['avx', 'avx2', 'avx512f', 'fpu'] });
    expect(eligible([{ kind: 'instructions', why: '-mavx2' }], local, there)).toBeUndefined();
  });

  it('may have another release of a series', () => {
    const there = worker({ packages: { 'linux-libc-dev': '6.1.192-2' } });
    expect(eligible([pack('linux-libc-dev', 'series')], local, there)).toBeUndefined();
  });

  it('must lack what is absent here, and have in /usr/local what is here in front of a package', () => {
    expect(askedOf([cc, absent])).toEqual(['cc', ...absent.paths]);
    expect(eligible([absent], local, worker(zlib(false)))).toBeUndefined();
    const here = { ...local, shadows: [shadow] };
    expect(eligible([unshadowed], here, worker({ shadows: [shadow] }))).toBeUndefined();
    expect(eligible([unshadowed], here, worker())).toContain('this machine has');
    // A library is asked for by its name.
    const library = { ...local, shadows: ['/usr/local/lib/libz.so 7'] };
    expect(eligible([unshadowed], library, worker())).toBeUndefined();
  });

  it('must mean by a name what it means here', () => {
    expect(askedOf([cc, awk])).toEqual(['cc', '/usr/bin/awk']);
    const there = worker(leads({ '/usr/bin/awk': '/usr/bin/mawk' }));
    expect(eligible([awk], local, there)).toBeUndefined();
  });

  it('is not judged by a tool that was not looked at here', () => {
    expect(eligible([{ ...cc, path: '/opt/bin/cc' }], local, worker())).toContain(
      'not probed here',
    );
  });
});
