import picocolors from 'picocolors';
import { expect, it } from 'vitest';
import { whyText } from '../../../src/cli/render/record.ts';
import { activeText, statusText } from '../../../src/cli/render/status.ts';
import { probeText } from '../../../src/cli/render/worker.ts';
import type { ToolFacts } from '../../../src/protocol/facts.ts';
import type { HistoryRecord, StatusReply, WorkerStatus } from '../../../src/protocol/methods.ts';

const look = { colors: picocolors.createColors(false), width: 200 };

const record: HistoryRecord = {
  id: '0123456789abcdef0123456789abcdef',
  command: 'make -j8',
  argv: ['make', '-j8'],
  cwd: '/p',
  decision: 'remote',
  reason: 'worth it',
  worker: 'css',
  exit: 2,
  signal: null,
  phases: { scan: 12, sync: 85, run: 2100, return: 40, total: 2300 },
  bytes: { sent: 1e6, received: 2000, output: 10 },
  startedAt: '2026-01-02T03:04:05.678Z',
  tool: 'make',
  conflicts: ['/p/main.c'],
};

const worker: WorkerStatus = {
  id: 'css',
  transport: 'ssh',
  host: '203.0.113.20',
  state: 'connected',
  health: 'healthy',
  mandate: 'enabled',
  troubles: [],
  load: 0,
  reason: '',
  next: '',
  sinceMs: 10,
  slots: { total: 32, used: 2 },
  jobs: 1,
  priority: 100,
  tags: [],
  breaker: 'closed',
  clockOffsetMs: -3.25,
  speed: null,
  roundTripMs: 0.4,
  facts: {
    hostname: 'w',
    system: 'Debian GNU/Linux 12 (bookworm)',
    arch: 'x86_64',
    kernel: '6.1',
    libc: 'glibc 2.36',
    cores: 32,
    memory: 64e9,
    diskFree: 1e12,
    user: 'ubuntu',
    node: 'v20.20.2',
    sandbox: { method: 'namespaces', mend: '' },
    tools: [
      {
        name: 'gcc',
        path: '/usr/bin/gcc',
        version: 'gcc (Debian) 12.2.0',
        target: 'x86_64-linux-gnu',
      },
      { name: 'ninja', path: '', version: '', target: '' },
    ],
  },
};

it('explains one decision with phases, bytes and what was kept', () => {
  const text = whyText(record, null, look);
  expect(text).toContain('ran on css: worth it');
  expect(text).toContain('scan 12 ms, sync 85 ms, run 2.1 s, return 40 ms; total 2.3 s');
  expect(text).toContain('sent 1.0 MB, received 2.0 kB, output 10 B');
  expect(text).toContain('/p/main.c: changed here meanwhile');
});

it('leaves the middle out of a long command line', () => {
  const command = `gcc ${'x'.repeat(1_500_000)} -o\tlast`;
  const [first = ''] = whyText({ ...record, command }, null, look).split('\n');
  expect(first).toMatch(/^gcc x{796}… \(1499012 characters more\) …x{190,} -o\\tlast$/);
  const whole = `gcc ${'x'.repeat(900)}`;
  expect(whyText({ ...record, command: whole }, null, look).split('\n')[0]).toBe(whole);
});

it('tells of all that was considered', () => {
  const text = whyText(
    { ...record, decision: 'local', worker: null, exit: null },
    {
      verdict: 'builds a project',
      worth: 'a run here takes 300 ms',
      next: 'RCH_FORCE_REMOTE=1',
      workers: [
        { worker: 'css', refusal: 'gcc is 11.4 there and 12.2 here', score: 0 },
        {
          worker: 'csd',
          refusal: '',
          score: 41.5,
          terms: { speed: 1, slots: 0.5, affinity: 0.25, cost: 0 },
          ...{ priority: 100, slots: { total: 8, free: 4, granted: 2 }, outcome: 'slower (-3.1)' },
        },
        {
          worker: 'fmd',
          refusal: '',
          score: 51,
          terms: { speed: 1, slots: 1, affinity: 0.25, cost: 0 },
          ...{ priority: 100, slots: { total: 8, free: 8, granted: 2 }, outcome: 'chosen' },
        },
      ],
      withheldEnv: ['SSH_AUTH_SOCK'],
      roots: [{ path: '/p', policy: 'project' }],
      learned: '',
      notes: [],
    },
    look,
  );
  expect(text).toContain('  css: gcc is 11.4 there and 12.2 here');
  expect(text).toContain(
    [
      '  worker  score  speed  slots  affinity  cost  priority  gets',
      '  fmd     51.0   1.00   1.00   0.25      0.00  100       2 of 8  chosen',
      '  csd     41.5   1.00   0.50   0.25      0.00  100       2 of 4  lost: slower (-3.1)',
    ].join('\n'),
  );
  expect(text).toContain('withheld  SSH_AUTH_SOCK');
  expect(text).toContain('  read-write /p');
});

it('shows the fleet as a tree, and what is wrong with a worker', () => {
  const status: StatusReply = {
    version: '1',
    view: '',
    pid: 7,
    socket: '/s',
    startedAt: '',
    uptimeMs: 65_000,
    enabled: true,
    config: { files: [], problems: [], projects: [] },
    log: '/l',
    logTrouble: '',
    workers: [
      { ...worker, speed: 87.25 },
      {
        ...worker,
        id: 'csd',
        state: 'unreachable',
        health: 'unreachable',
        slots: null,
        jobs: 0,
        reason: 'no route',
        next: 'ping it',
      },
    ],
    jobs: [
      {
        ...{
          id: record.id,
          worker: 'css',
          command: 'make',
          cwd: '/p',
          phase: 'run',
          sinceMs: 1500,
        },
        ...{ slots: 4, caller: 'bash[7]' },
      },
    ],
    local: {
      ...{ limit: 2, used: 1 },
      leases: [
        {
          ...{ id: 'fedcba9876', pid: 9, command: 'cargo run', cwd: '/q', sinceMs: 70_000 },
          ...{ cores: 1, caller: 'zsh[8]' },
        },
      ],
    },
    queue: [
      {
        ...{ id: 'abcdef0123', place: 1, for: ['css', 'csd'], caller: 'night', priority: 'low' },
        ...{ cores: 2, pid: 10, command: 'make all', cwd: '/r', waitedMs: 2500 },
      },
    ],
    counts: { remote: 3, local: 4, returned: 0, lost: 0 },
    notices: [{ kind: 'fallbacks', text: '4 of 5 ran here' }],
    metrics: { url: 'http://127.0.0.1:9090/metrics', trouble: '' },
    memory: 62e6,
  };
  expect(statusText(status, [], look).split('\n')).toEqual([
    'rch 1',
    '├── daemon: running (pid 7, uptime 1m 05s, 62 MB)',
    '├── notice: 4 of 5 ran here',
    '├── metrics: http://127.0.0.1:9090/metrics',
    '├── active compilations: 1',
    '│   └── 01234567: make (css, 4 slots, run, 1.5 s elapsed)',
    '├── heavy commands here: 1, on 1 of 2 cores',
    '│   └── cargo run (pid 9, 1m 10s)',
    '├── in line: 1 (rch queue)',
    '│   └── 1: make all (night, 2.5 s)',
    '├── since its start: 3 remote, 4 local',
    '└── workers:',
    '    ├── css (203.0.113.20): healthy, 2/32 slots, 1 job, score 87.3',
    '    └── csd (203.0.113.20): unreachable',
    '        ├── no route',
    '        └── next: ping it',
  ]);
  const place = { file: `/${'a/'.repeat(60)}config.toml`, line: 3, column: 5, key: 'general.x' };
  const wrong = { ...status, config: { ...status.config, problems: [{ ...place, reason: 'no' }] } };
  const lines = statusText(wrong, ['/t.toml:1:1: cpp: no'], { ...look, width: 40 }).split('\n');
  expect(lines).toContain(`│   └── ${place.file}:3:5: general.x: no`);
  expect(lines).toContain('├── config: /t.toml:1:1: cpp: no');
  expect(activeText(status, look).split('\n')).toEqual([
    'JOB       WHERE  PHASE    CORES  FOR     CALLER   COMMAND    FOLDER',
    '01234567  css    run      4      1.5 s   bash[7]  make       /p',
    'fedcba98  here   running  1      1m 10s  zsh[8]   cargo run  /q',
    '',
    'PLACE  JOB       CALLER  PRIORITY  FOR         WAITED  COMMAND   FOLDER',
    '1      abcdef01  night   low       css or csd  2.5 s   make all  /r',
  ]);
});

it('shows what a probe found, what is missing, and what would mend it', () => {
  const tool = (name: string): ToolFacts => ({
    ...{ name, path: `/usr/bin/${name}`, version: `${name} 2`, target: '' },
  });
  const measure = { asked: ['ninja'], here: [tool('gcc'), tool('c++')] };
  const probed = { ...worker, shell: null, rate: 12e6 };
  const lines = probeText(probed, measure, look).split('\n');
  expect(lines[0]).toContain('css: connected, 32 slots');
  expect(lines).toEqual(
    expect.arrayContaining([
      'clock     3.3 ms behind ours',
      'rate      12 MB/s, there and back at once',
      '  gcc  gcc (Debian) 12.2.0',
      'missing   c++ ninja: commands that need them run elsewhere',
      '          rch workers setup css --with g++,ninja',
      'versions  gcc: another one than here, so commands that need them run elsewhere',
      '          rch workers sync css',
    ]),
  );
});
