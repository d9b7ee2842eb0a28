/** What an agent removes is its own: whatever lies in its folder, and however it was planted there. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { outsideLoad, parseProcessorTimes } from '../../src/agent/load.ts';
import { startTimeOf } from '../../src/base/processes.ts';
import { snapshot } from '../rig/tree-snapshot.ts';
import { AgentPeer, file, manifestOf, startAgent, type RunningAgent } from '../rig/agent-peer.ts';
import { clear } from '../rig/processes.ts';

let home: string;
let folder: string;
let agent: RunningAgent | undefined;
let peer: AgentPeer | undefined;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'rch-hygiene-'));
  folder = join(home, 'rch-wkr');
  mkdirSync(folder, { mode: 0o700 });
});
afterEach(async () => {
  peer?.close();
  peer = undefined;
  await agent?.end();
  agent = undefined;
  clear(home);
});

/** Folders of the user's, one for each way out of the agent's. */
function precious(name: string): string {
  const path = join(home, 'precious', name);
  mkdirSync(join(path, 'below'), { recursive: true });
  writeFileSync(join(path, 'below', 'file'), name);
  return path;
}

test.each([
  { what: 'all of it', part: '.' },
  { what: 'a part of it', part: 'trees' },
  { what: 'its lock', part: 'run/agent.lock' },
])(
  'an agent whose folder was removed under it ($what) makes room for one that makes it anew',
  async ({ part }) => {
    agent = await startAgent({ folder });
    const { child } = agent;
    const left = once(child, 'exit');
    clear(join(folder, part));
    expect(await left).toEqual([0, null]);
    agent = await startAgent({ folder });
    peer = await AgentPeer.connect(agent.socket);
    expect(peer.welcome).toBeDefined();
  },
);

test('an agent goes on when parts of its folder are removed that it can make anew', async () => {
  agent = await startAgent({ folder });
  peer = await AgentPeer.connect(agent.socket);
  for (const part of ['log', 'kept', 'jobs', 'store', 'shims', 'trash']) clear(join(folder, part));
  const text = 'x'.repeat(1000);
  const entries = manifestOf({ a: file(text) });
  const at = { path: '/home/somebody/project' };
  expect((await peer.syncWhole({ ...at, to: 5n }, entries, [text])).type).toBe('synced');
  const job = randomBytes(16);
  const roots = [{ root: 'root', ...at, policy: 0, epoch: '5' }];
  peer.run(job, { argv: ['sh', '-c', 'cp a b'], cwd: at.path, spec: { roots } });
  const { results, notStarted } = await peer.follow(job);
  expect(notStarted).toBeUndefined();
  expect(results.get('root')?.changes.map(({ path }) => path)).toContain('b');
  expect(existsSync(join(folder, 'log', 'agent.log'))).toBe(true);
});

test('nothing outside the folder is removed, at the start, when room is made, and at the end', async () => {
  for (const part of ['trash', 'jobs', 'kept', 'trees', 'store', 'run', 'log'])
    mkdirSync(join(folder, part), { mode: 0o700 });
  const job = '0'.repeat(32);
  for (const [part, name] of [
    ['trash', 'abc'],
    ['jobs', job],
    ['jobs', 'x'],
    ['kept', `${job}.new`],
    ['kept', job],
    ['trees', 'elsewhere'],
    ['.', 'benchmark-x'],
  ] as const)
    symlinkSync(precious(`${part}-${name}`), join(folder, part, name));
  // A folder of an old job that holds ways out, and a result that is older than a week.
  mkdirSync(join(folder, 'jobs', 'old', 'tmp'), { recursive: true });
  symlinkSync(precious('inside'), join(folder, 'jobs', 'old', 'tmp', 'way'));
  const old = join(folder, 'kept', '1'.repeat(32));
  mkdirSync(join(old, 'contents'), { recursive: true });
  symlinkSync(precious('content'), join(old, 'contents', 'way'));
  utimesSync(old, 1, 1);
  const before = snapshot(join(home, 'precious'));

  agent = await startAgent({ folder });
  peer = await AgentPeer.connect(agent.socket);
  expect(existsSync(old)).toBe(false);
  expect(readdirSync(join(folder, 'jobs'))).toEqual([]);
  expect(readdirSync(join(folder, 'trash'))).toEqual([]);
  const at = { path: '/home/somebody/project' };
  const text = 'x'.repeat(1000);
  const synced = await peer.syncWhole({ ...at, to: 5n }, manifestOf({ a: file(text) }), [text]);
  expect(synced.type).toBe('synced');
  const [station] = readdirSync(join(folder, 'trees')).filter((name) => name !== 'elsewhere');
  const [key] = readdirSync(join(folder, 'trees', station ?? ''));
  symlinkSync(precious('tree'), join(folder, 'trees', station ?? '', key ?? '', 't', 'way'));
  const rest = snapshot(join(home, 'precious'));
  peer.send({ type: 'collect', request: 9, bytes: 1n });
  expect((await peer.control.take('collected')).held).toBe(0n);
  expect(readdirSync(join(folder, 'trees', station ?? ''))).toEqual([]);
  await agent.end();
  expect(snapshot(join(home, 'precious'))).toEqual(rest);
  for (const [path, node] of before) expect(rest.get(path)).toEqual(node);
});

test('processes that a dead agent left are ended when the next one starts, and only those', async () => {
  const left = spawn('/bin/sleep', ['600'], { stdio: 'ignore', detached: true });
  const foreign = spawn('/bin/sleep', ['600'], { stdio: 'ignore', detached: true });
  try {
    await Promise.all([once(left, 'spawn'), once(foreign, 'spawn')]);
    const name = (pid = 0, started = startTimeOf(pid)): string => `${pid} ${started ?? 0}\n`;
    for (const [job, owner] of [
      ['1', name(left.pid)],
      // Its number was given to another process since.
      ['2', name(foreign.pid, 1n)],
    ] as const) {
      const path = join(folder, 'jobs', job.repeat(32));
      mkdirSync(path, { recursive: true, mode: 0o700 });
      writeFileSync(join(path, 'owner'), owner);
    }
    const gone = once(left, 'exit');
    agent = await startAgent({ folder });
    expect(await gone).toEqual([null, 'SIGKILL']);
    expect(startTimeOf(foreign.pid ?? 0)).toBeDefined();
    expect(readdirSync(join(folder, 'jobs'))).toEqual([]);
  } finally {
    foreign.kill('SIGKILL');
    await once(foreign, 'exit');
  }
});

test('a link that says nothing for several of its heartbeats is gone', async () => {
  agent = await startAgent({ folder });
  peer = await AgentPeer.connect(agent.socket, { heartbeat: 0.5 });
  await peer.control.untilClosed();
});

test('the load that others cause is what is beyond our slots', () => {
  const stat = (user: number, idle: number): string => `cpu  ${user} 0 0 ${idle} 0 0 0 0 0 0\ncpu0`;
  const before = parseProcessorTimes(stat(1000, 1000));
  expect(before).toEqual({ idle: 1000, all: 2000 });
  const busy = parseProcessorTimes(stat(1300, 1100));
  expect(outsideLoad(before, busy, { cores: 8, slots: 0 })).toBe(6);
  expect(outsideLoad(before, busy, { cores: 8, slots: 4 })).toBe(2);
  expect(outsideLoad(before, busy, { cores: 8, slots: 8 })).toBe(0);
  expect(outsideLoad(busy, busy, { cores: 8, slots: 0 })).toBe(0);
});
