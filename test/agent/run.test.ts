import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { agentFacts } from '../../src/protocol/facts.ts';
import { jobUsage } from '../../src/protocol/jobs.ts';
import { StreamKind } from '../../src/protocol/shim.ts';
import type { Change, Entry } from '../../src/tree/manifest.ts';
import {
  AgentPeer,
  dir,
  file,
  type Followed,
  manifestOf,
  MTIME,
  type Of,
  type RunningAgent,
  type RunOptions,
  startAgent,
} from '../rig/agent-peer.ts';
import { clear } from '../rig/processes.ts';

let agent: RunningAgent;
let peer: AgentPeer;

beforeEach(async () => {
  agent = await startAgent();
  peer = await AgentPeer.connect(agent.socket);
});
afterEach(async () => {
  peer.close();
  await agent.stop();
});

const project = '/home/caller/p';
const at = { path: project };
const tree = (name = ''): string => join(agent.folder, 'trees/station/root/t', name);
const roots = [{ root: 'root', path: project, policy: 0, epoch: '5' }];

async function synced(entries: Record<string, Entry>, contents: string[] = []): Promise<void> {
  const answer = await peer.syncWhole({ ...at, to: 5n }, manifestOf(entries), contents);
  expect(answer).toMatchObject({ type: 'synced' });
}

function script(text: string, more: Partial<RunOptions> = {}): RunOptions {
  return { argv: ['sh', '-c', text], cwd: project, ...more, spec: { roots, ...more.spec } };
}

function start(text: string, more: Partial<RunOptions> = {}): Buffer {
  const job = randomBytes(16);
  peer.run(job, script(text, more));
  return job;
}

function ran(text: string, more: Partial<RunOptions> = {}): Promise<Followed> {
  return peer.follow(start(text, more));
}

/** Processes whose argv[0] is `mark`. */
function running(mark: string): number {
  return readdirSync('/proc').filter((name) => {
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'latin1').split('\0')[0] === mark;
    } catch {
      return false;
    }
  }).length;
}

function changed(followed: Followed, root = 'root'): Map<string, Entry | undefined> {
  const changes = followed.results.get(root)?.changes ?? [];
  return new Map(
    changes.map((change) => [change.path, change.op === 'put' ? change.entry : undefined]),
  );
}

function usedSlots(slots: number): Promise<Of<'state'>> {
  return peer.control.take('state', (state) => state.usedSlots === slots);
}

function settle(job: Buffer, to: bigint, times: Partial<Of<'settle'>> = {}): number {
  const request = peer.nextRequest();
  const cap = 1n << 62n;
  peer.send({
    type: 'settle',
    request,
    job,
    root: 'root',
    to,
    offset: 0n,
    floor: 0n,
    cap,
    ...times,
  });
  return request;
}

test('a tool runs at the caller’s path, as the caller, and its streams come back exactly', async () => {
  await synced({ 'in.txt': file('hello') }, ['hello']);
  const end = await ran(
    'pwd; id -un; id -u; echo "$HOME $FOO $RCH_ON_WORKER"; cat in.txt; printf "\\377\\000x" >&2; exit 3',
    { env: ['PATH=/usr/bin:/bin', 'FOO=a b', 'HOME=/home/caller'] },
  );
  expect(end.stdout).toBe(`${project}\ncaller\n1234\n/home/caller a b 1\nhello`);
  expect(end.stderr).toBe('\xff\0x');
  expect(end.end).toMatchObject({ kind: 0, value: 3 });
  expect(jobUsage.parse(JSON.parse(end.end?.json.toString() ?? '')).wallMs).toBeGreaterThan(0);
  expect(changed(end).size).toBe(0);
});

test('a tool that dies of a signal is told as such', async () => {
  await synced({});
  expect((await ran('kill -SEGV $$')).end).toMatchObject({ kind: 1, value: 11 });
});

test('what a run changed is told, fetched and settled, and the tree goes on from there', async () => {
  await synced({ keep: file('k'), gone: file('g'), edit: file('e') }, ['k', 'g', 'e']);
  const job = start(
    'echo new > made; mkdir -p a/b; ln -s ../made a/l; rm gone; echo more >> edit; chmod 600 keep; ln made hard; touch -d "2001-01-01 00:00:00.123456789Z" old',
  );
  const end = await peer.follow(job);
  expect(end.end).toMatchObject({ kind: 0, value: 0 });
  const { from, till } = end.results.get('root') ?? { from: 0n, till: 0n };
  const changes = changed(end);
  expect([...changes.keys()].sort()).toEqual([
    '',
    'a',
    'a/b',
    'a/l',
    'edit',
    'gone',
    'hard',
    'keep',
    'made',
    'old',
  ]);
  expect(changes.get('gone')).toBeUndefined();
  expect(changes.get('keep')).toEqual(file('k', 0o600));
  expect(changes.get('old')).toMatchObject({ mtime: 978_307_200_123_456_789n });
  expect([changes.get('made')?.kind, changes.get('hard')?.kind].sort()).toEqual([
    'file',
    'hardlink',
  ]);
  const made = [...changes.values()].find(
    (entry) => entry?.kind === 'file' && entry.hash === (file('new\n') as { hash: string }).hash,
  );
  if (made?.kind !== 'file') throw new Error('made is no file');
  expect(made.mtime >= from && made.mtime <= till).toBe(true);
  expect(Number(till - from)).toBeLessThan(60e9);

  const contents = await peer.fetch(job, [made.hash]);
  expect(contents.get(made.hash)?.toString()).toBe('new\n');
  const floor = made.mtime + 1_000_000_000_000n;
  expect(await peer.answer(settle(job, 6n, { floor }))).toMatchObject({
    type: 'settled',
    epoch: 6n,
  });
  expect(statSync(tree('made'), { bigint: true }).mtimeNs).toBe(floor);
  expect(statSync(tree('a'), { bigint: true }).mtimeNs).toBe(floor);
  expect(statSync(tree('keep'), { bigint: true }).mtimeNs).toBe(MTIME);
  expect(statSync(tree('old'), { bigint: true }).mtimeNs).toBe(978_307_200_123_456_789n);
  peer.send({ type: 'finish', job });

  const next = peer.sendSync({ ...at, from: 6n, to: 7n }, [
    { op: 'gone', path: 'made' },
    { op: 'gone', path: 'hard' },
  ]);
  expect(await peer.answer(next)).toMatchObject({ type: 'synced' });
  const again = await ran('ls', {
    spec: { roots: [{ ...roots[0], root: 'root', path: project, policy: 0, epoch: '7' }] },
  });
  expect(again.stdout).toBe('a\nedit\nkeep\nold\n');
  // Nothing changed, and the stamps set above are no change either.
  expect(changed(again).size).toBe(0);
});

test('ninja’s log is stamped as the files it speaks of', async () => {
  await synced({});
  const job = start(
    'touch out; m=$(stat -c %Y out)000000000; printf "# ninja log v5\\n0\\t1\\t$m\\tout\\tabc\\n" > .ninja_log; cp .ninja_log x.ninja_log; date -d "@$(stat -c %Y out)" >/dev/null; touch -d "@$(stat -c %Y out)" out',
  );
  const end = await peer.follow(job);
  const { from } = end.results.get('root') ?? { from: 0n };
  // The whole second may lie before the window: then neither is new.
  const floor = from + 5_000_000_000n;
  const before = readFileSync(tree('x.ninja_log'), 'utf8');
  await peer.answer(settle(job, 6n, { floor }));
  expect(readFileSync(tree('x.ninja_log'), 'utf8')).toBe(before);
  const [, line] = readFileSync(tree('.ninja_log'), 'utf8').split('\n');
  expect(line?.split('\t')[2]).toBe(statSync(tree('out'), { bigint: true }).mtimeNs.toString());
});

test('a job starts only on the trees it names', async () => {
  await synced({});
  const wrong = await ran('true', {
    spec: { roots: [{ root: 'root', path: project, policy: 0, epoch: '4' }] },
  });
  expect(wrong.notStarted).toMatchObject({ kind: 'no-root' });
  const none = await ran('true', {
    spec: { roots: [{ root: 'other', path: project, policy: 0, epoch: '5' }] },
  });
  expect(none.notStarted).toMatchObject({ kind: 'no-root' });
  const path = await ran('true', {
    spec: { roots: [{ root: 'root', path: '/home/caller/q', policy: 0, epoch: '5' }] },
  });
  expect(path.notStarted).toMatchObject({ kind: 'no-root' });
});

test('a tool that is not there is refused: on the worker, in a root, or in a hidden home', async () => {
  await synced(
    { bin: dir(), 'bin/tool': file('#!/bin/sh\necho shipped', 0o755), 'bin/plain': file('') },
    ['#!/bin/sh\necho shipped'],
  );
  for (const tool of [
    '/usr/bin/no-such-tool',
    `${project}/bin/none`,
    `${project}/bin/plain`,
    '/home/caller/x',
  ])
    expect((await ran('', { tool, argv: ['x'] })).notStarted, tool).toMatchObject({
      kind: 'no-tool',
    });
  const shipped = await ran('', { tool: `${project}/bin/tool`, argv: ['tool'] });
  expect(shipped.stdout).toBe('shipped\n');
});

test('the shims’ folder holds links to what their names mean to the job', async () => {
  await synced({ bin: dir(), 'bin/cargo': file('#!/bin/sh\necho cargo', 0o755) }, [
    '#!/bin/sh\necho cargo',
  ]);
  const shimDir = '/home/caller/.local/share/rch/shims';
  const end = await ran(
    'ls $PWD/../.local/share/rch/shims; readlink /home/caller/.local/share/rch/shims/sh; cargo; touch /home/caller/.local/share/rch/shims/x',
    {
      env: [`PATH=${shimDir}:${project}/bin:/usr/bin:/bin`],
      spec: { roots, shimDir, shimTools: ['cargo', 'sh', 'no-such-tool'] },
    },
  );
  expect(end.stdout).toBe('cargo\nsh\n/usr/bin/sh\ncargo\n');
  expect(end.stderr).toContain('Read-only file system');
});

test('a read-only root cannot be written, and a denied path outside is told', async () => {
  await synced({});
  expect(
    await peer.syncWhole(
      { path: '/home/caller/lib', root: 'lib', policy: 1, to: 9n },
      manifestOf({ a: file('1') }),
      ['1'],
    ),
  ).toMatchObject({ type: 'synced' });
  const both = [...roots, { root: 'lib', path: '/home/caller/lib', policy: 1, epoch: '9' }];
  const end = await ran('cat ../lib/a; echo x > ../lib/a || mkdir /usr/rch-test', {
    spec: { roots: both },
  });
  expect(end.stdout).toBe('1');
  expect(end.end?.value).not.toBe(0);
  expect(jobUsage.parse(JSON.parse(end.end?.json.toString() ?? '')).deniedPath).toBe(
    '/usr/rch-test',
  );
  expect([...end.results.keys()]).toEqual(['root']);
  expect(existsSync('/usr/rch-test')).toBe(false);
});

test('what a test of its own /tmp says of permission is no path that was denied', async () => {
  await synced({});
  const end = await ran('mkdir /tmp/q && echo "open /tmp/q/f: Permission denied"; false');
  const usage = jobUsage.parse(JSON.parse(end.end?.json.toString() ?? ''));
  expect(usage.deniedPath).toBe('');
});

test('paths that are not there are told, on whichever stream the tool names them and by way of links', async () => {
  await synced({ in: dir(), out: { kind: 'symlink', target: '../o/deep', mtime: MTIME } });
  const part = await peer.syncWhole(
    { path: '/home/caller/lib', root: 'lib', policy: 1, to: 9n },
    manifestOf({ a: file('1') }),
    ['1'],
  );
  expect(part).toMatchObject({ type: 'synced' });
  const both = [...roots, { root: 'lib', path: '/home/caller/lib', policy: 1, epoch: '9' }];
  const said = ['home/caller/q', 'home/caller/p/in/../../r', 'home/caller/p/in/../s'];
  // As the kernel goes: up from where the link leads.
  const all = [...said, 'home/caller/p/out/../t'].map((path) => `\`/${path}\`: not found`);
  const end = await ran('cat ../x; cat ../y 2>&1; cat ../lib/a ../lib/b no; echo "$SAID"; false', {
    env: ['PATH=/usr/bin:/bin', `SAID=${all.join('\n')}`],
    spec: { roots: both },
  });
  const { missingPaths } = jobUsage.parse(JSON.parse(end.end?.json.toString() ?? ''));
  expect(missingPaths.toSorted()).toEqual(
    ['lib/b', 'o/t', 'q', 'r', 'x', 'y'].map((name) => `/home/caller/${name}`),
  );
});

test('what the tool leaves in its /tmp is offered, but for what cargo notes in a home below it', async () => {
  await synced({});
  const left = async (text: string, env: string[]): Promise<string[]> => {
    const job = start(text, { env: ['PATH=/usr/bin:/bin', ...env] });
    const { results } = await peer.follow(job);
    peer.send({ type: 'finish', job });
    return (results.get('/tmp')?.changes ?? []).map(({ path }) => path).sort();
  };
  const home = 'HOME=/tmp/rch-home';
  expect(await left('true', [home])).toEqual([]);
  expect(await left('mkdir -p ~/.cargo; : > ~/.cargo/.global-cache; : > ~/mine', [home])).toEqual([
    'rch-home',
    'rch-home/mine',
  ]);
});

test('/tmp is the job’s own, and the caller’s home shows nothing but roots', async () => {
  await synced({ a: file('') });
  const end = await ran('echo x > /tmp/rch-mine; ls /tmp /home/caller; ls /home');
  expect(end.stdout).toContain('/home/caller:\np\n');
  expect(end.stdout).toContain('/tmp:\nrch-mine\n');
  expect(existsSync('/tmp/rch-mine')).toBe(false);
  expect(readdirSync(join(agent.folder, 'jobs')).length).toBeLessThanOrEqual(1);
});

test('pure caches stay here: they are not told, survive a whole sync, and go with the folder around them', async () => {
  await synced({});
  const make =
    'mkdir -p target/inc/deep; echo c > target/inc/state; echo o > target/out; mkfifo target/inc/deep/f; ln target/inc/state target/same';
  const job = start(make, { spec: { roots, caches: ['target/inc'] } });
  const end = await peer.follow(job);
  expect([...changed(end).keys()].sort()).toEqual(['', 'target', 'target/out', 'target/same']);
  expect(changed(end).get('target/same')).toMatchObject({ kind: 'file' });
  await peer.answer(settle(job, 6n));
  peer.send({ type: 'finish', job });
  const manifest = manifestOf({ target: dir(), 'target/out': file('o\n') });
  expect(await peer.syncWhole({ ...at, to: 7n }, manifest, ['o\n'])).toMatchObject({
    type: 'synced',
  });
  expect(readFileSync(tree('target/inc/state'), 'utf8')).toBe('c\n');
  const gone = peer.sendSync({ ...at, from: 7n, to: 8n }, [
    { op: 'gone', path: 'target/out' },
    { op: 'gone', path: 'target' },
  ]);
  expect(await peer.answer(gone)).toMatchObject({ type: 'synced' });
  expect(existsSync(tree('target'))).toBe(false);
  expect(readdirSync(tree('.'))).not.toContain('target');
});

test('a folder that goes with much in it goes at once, and what is not removed yet does no harm', async () => {
  const whole = manifestOf({ big: dir(), ...many, keep: file('x\n') });
  await peer.syncWhole({ ...at, to: 4n }, whole, ['x\n']);
  const moved: Change = { op: 'put', path: 'moved', entry: file('x\n') };
  const gone = peer.sendSync({ ...at, from: 4n, to: 5n }, [...bigGone, moved]);
  expect(await peer.answer(gone)).toMatchObject({ type: 'synced' });
  expect(readdirSync(tree('.')).sort()).toEqual(['keep', 'moved']);
  await expect.poll(() => readdirSync(join(agent.folder, 'trash'))).toEqual([]);
  const job = start('mkdir big; echo y > big/0; ls');
  const end = await peer.follow(job);
  expect(end.stdout).toBe('big\nkeep\nmoved\n');
  expect([...changed(end).keys()].sort()).toEqual(['', 'big', 'big/0']);
});

const names = Array.from({ length: 30 }, (_, n) => `big/${String(n)}`);
const many = Object.fromEntries(names.map((name) => [name, file('x\n')]));
const bigGone: Change[] = [...names, 'big'].map((path) => ({ op: 'gone', path }));

test('a folder goes, however it must, when there is no place to put it aside', async () => {
  await peer.syncWhole({ ...at, to: 4n }, manifestOf({ big: dir(), ...many }), ['x\n']);
  clear(join(agent.folder, 'trash'));
  const gone = peer.sendSync({ ...at, from: 4n, to: 5n }, bigGone);
  expect(await peer.answer(gone)).toMatchObject({ type: 'synced' });
  expect(existsSync(tree('big'))).toBe(false);
});

test('what a running job made in a folder that goes at home is not taken from it', async () => {
  await synced({ big: dir(), ...many }, ['x\n']);
  const job = start('echo r > big/new; echo ready; read line; echo s > big/later', {
    spec: {
      roots,
      concurrent: true,
      streams: [StreamKind.pipe, StreamKind.pipe, StreamKind.pipe],
    },
  });
  await peer.control.take('out');
  await peer.answer(peer.sendSync({ ...at, from: 5n, to: 6n }, bigGone));
  peer.send({ type: 'stdin', job, offset: 0n, data: Buffer.from('on\n') });
  peer.send({ type: 'stdinEof', job, offset: 3n });
  const end = await peer.follow(job);
  expect(end.end).toMatchObject({ value: 0 });
  expect([...changed(end).keys()]).toEqual(expect.arrayContaining(['big/new', 'big/later']));
});

test('what is sent into a pure cache takes the place of all that is in it', async () => {
  await synced({});
  const job = start('mkdir -p target/inc/deep; echo c > target/inc/state', {
    spec: { roots, caches: ['target/inc'] },
  });
  await peer.follow(job);
  await peer.answer(settle(job, 6n));
  peer.send({ type: 'finish', job });
  const sent = manifestOf({ target: dir(), 'target/inc': dir(), 'target/inc/state': file('s\n') });
  expect(await peer.syncWhole({ ...at, to: 7n }, sent, ['s\n'])).toMatchObject({
    type: 'synced',
  });
  expect(readdirSync(tree('target/inc'))).toEqual(['state']);
  expect(readFileSync(tree('target/inc/state'), 'utf8')).toBe('s\n');
});

test('what somebody else does to a tree is found before a job begins, and the tree is no longer trusted', async () => {
  await synced({ a: file('a'), b: file('b') }, ['a', 'b']);
  const look = async (from: bigint): Promise<unknown> => {
    const request = peer.nextRequest();
    peer.send({ type: 'look', request, root: 'root', from });
    return peer.answer(request);
  };
  expect(await look(5n)).toMatchObject({ type: 'synced', epoch: 5n });
  expect(await look(4n)).toMatchObject({ type: 'syncMismatch', at: 5n });
  rmSync(tree('b'));
  expect(await look(5n)).toMatchObject({ type: 'syncMismatch', at: 0n });
  expect(await ran('true')).toMatchObject({ notStarted: { kind: 'no-root' } });
  await synced({ a: file('a'), b: file('b') }, ['a', 'b']);
  expect(readFileSync(tree('b'), 'utf8')).toBe('b');
  clear(join(agent.folder, 'trees/station/root'));
  expect(await look(5n)).toMatchObject({ type: 'syncMismatch', at: 0n });
  // The contents may have gone with it.
  clear(join(agent.folder, 'store'));
  await synced({ a: file('a'), b: file('b') }, ['a', 'b']);
  // Found by a sync of what differs before anybody looked, and by a whole one of a tree that nobody vouches for.
  clear(join(agent.folder, 'trees/station/root/t'));
  const request = peer.sendSync({ ...at, from: 5n, to: 6n }, [
    { op: 'put', path: 'b', entry: file('b', 0o755) },
  ]);
  expect(await peer.serveNeeds(request, ['b'])).toMatchObject({ type: 'syncMismatch', at: 0n });
  clear(join(agent.folder, 'trees/station/root/t'));
  await synced({ a: file('a'), b: file('b') }, ['a', 'b']);
  expect([...changed(await ran('rm a')).keys()]).toEqual(['a', '']);
});

test('equal files of a read-only root, which are names of one content here, are what was agreed', async () => {
  const path = '/home/caller/lib';
  const one = file('one');
  const entries = manifestOf({ a: one, b: one, d: dir(), 'd/a': one, c: file('c') });
  const wanted = { root: 'lib', path, policy: 1, to: 3n };
  expect(await peer.syncWhole(wanted, entries, ['one', 'c'])).toMatchObject({ type: 'synced' });
  expect(statSync(join(agent.folder, 'trees/station/lib/t/b')).nlink).toBe(4);
  const look = async (): Promise<unknown> => {
    const request = peer.nextRequest();
    peer.send({ type: 'look', request, root: 'lib', from: 3n });
    return peer.answer(request);
  };
  expect(await look()).toMatchObject({ type: 'synced', epoch: 3n });
});

test('a tree that somebody empties when a job ends has no result', async () => {
  const names = Array.from({ length: 4000 }, (_, at) => `f${at}`);
  await synced(Object.fromEntries(names.map((name) => [name, file('')])), ['']);
  const emptying = `for f in ${tree('f*')}; do /bin/rm "$f"; done`;
  const job = start('rm f0; until [ ! -e f9 ]; do :; done');
  const child = spawn('sh', ['-c', emptying]);
  const ended = once(child, 'exit');
  const end = await peer.follow(job);
  child.kill();
  await ended;
  expect(end.notStarted?.reason).toContain('was removed on the worker by somebody else');
  await synced({ a: file('a') }, ['a']);
});

test('standard input reaches the tool once, and its use is told', async () => {
  await synced({});
  const job = start('head -c 3; cat > /dev/null', {
    spec: { roots, streams: [StreamKind.pipe, StreamKind.pipe, StreamKind.pipe] },
  });
  peer.send({ type: 'stdin', job, offset: 0n, data: Buffer.from('ab') });
  // Sent again after a reconnect, with more.
  await peer.control.take('started');
  peer.send({ type: 'stdin', job, offset: 0n, data: Buffer.from('abcde') });
  peer.send({ type: 'stdinEof', job, offset: 5n });
  await peer.control.take('stdinUsed', (used) => used.offset === 5n);
  const end = await peer.follow(job);
  expect(end.stdout).toBe('abc');
});

test('a signal reaches the tool', async () => {
  await synced({});
  const job = start('trap "echo got; exit 9" INT; echo ready; while :; do sleep 0.05; done');
  await peer.control.take('out');
  peer.send({ type: 'outAck', job, stream: 1, offset: 6n });
  peer.send({ type: 'signal', job, signo: 2, count: 1 });
  const end = await peer.follow(job);
  expect(end.stdout).toBe('got\n');
  expect(end.end).toMatchObject({ value: 9 });
});

test('output waits for the launcher: no more than the window is in flight', async () => {
  await synced({});
  const job = start('head -c 3000000 /dev/zero | tr "\\0" x; echo end');
  let bytes = 0;
  while (bytes < 1 << 20) bytes += (await peer.control.take('out')).data.length;
  expect(bytes).toBe(1 << 20);
  // Nothing comes until it is acknowledged: an answer to a later question does, and no output before it.
  peer.send({ type: 'ping', request: 1 });
  await peer.control.take('pong');
  expect(peer.control.received.filter((message) => message.type === 'out')).toEqual([]);
  peer.send({ type: 'outAck', job, stream: 1, offset: BigInt(bytes) });
  const end = await peer.follow(job);
  expect(end.stdout.length).toBe(3_000_004 - bytes);
  expect(end.stdout.endsWith('xend\n')).toBe(true);
});

test('a job outlives its connection, and attach goes on without a byte lost or doubled', async () => {
  await synced({});
  const job = start(
    'i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i+1)); done; echo made > made; exit 4',
  );
  let text = '';
  let acknowledged = 0;
  for (let turn = 0; turn < 6; turn++) {
    const out = await peer.control.take(
      'out',
      (message) => Number(message.offset) === text.length || Number(message.offset) >= acknowledged,
    );
    if (Number(out.offset) !== text.length) throw new Error(`${out.offset} after ${text.length}`);
    text += out.data.toString();
    acknowledged = text.length;
    peer.close();
    peer = await AgentPeer.connect(agent.socket);
    peer.send({
      type: 'attach',
      job,
      stdoutAt: BigInt(acknowledged),
      stderrAt: 0n,
      terminalAt: 0n,
      stdinAt: 0n,
    });
    if (text.endsWith('line 1999\n')) break;
  }
  const end = await peer.follow(job);
  text += end.stdout;
  expect(text).toBe(Array.from({ length: 2000 }, (_, line) => `line ${line}\n`).join(''));
  expect(end.end).toMatchObject({ kind: 0, value: 4 });
  expect(changed(end).has('made')).toBe(true);
});

test('an ended job keeps its result for one who comes back, but not for another workstation', async () => {
  await synced({});
  const job = start('echo made > made');
  await peer.follow(job);
  peer.close();
  const stranger = await AgentPeer.connect(agent.socket, { workstation: 'stranger' });
  const attach = {
    type: 'attach',
    job,
    stdoutAt: 0n,
    stderrAt: 0n,
    terminalAt: 0n,
    stdinAt: 0n,
  } as const;
  stranger.send({ ...attach });
  // What belongs to another was never seen; what was and is over (below) must not be run here as well.
  expect((await stranger.control.take('notStarted')).kind).toBe('never-seen');
  stranger.send({ type: 'kill', job });
  stranger.close();
  peer = await AgentPeer.connect(agent.socket);
  peer.send(attach);
  await peer.control.take('started');
  const end = await peer.follow(job);
  expect(changed(end).has('made')).toBe(true);
  expect(await peer.answer(settle(job, 6n))).toMatchObject({ type: 'settled' });
  peer.send({ type: 'finish', job });
  peer.send({ ...attach });
  await peer.control.take('unknownJob');
});

const attachTo = (job: Buffer): Of<'attach'> => ({
  ...{ type: 'attach', job, stdoutAt: 0n, stderrAt: 0n, terminalAt: 0n, stdinAt: 0n },
});

test.each(['attach', 'kill'] as const)(
  'a job that its link had to hear never began (%s) does not begin when its order comes late',
  async (asked) => {
    await synced({});
    const job = randomBytes(16);
    const late = await AgentPeer.connect(agent.socket);
    peer.send(asked === 'attach' ? attachTo(job) : { type: 'kill', job });
    const request = peer.nextRequest();
    peer.send({ type: 'ping', request });
    await peer.answer(request);
    const told = (): Promise<Of<'notStarted'>> =>
      peer.control.take('notStarted', ({ kind }) => kind === 'never-seen');
    if (asked === 'attach') await told();
    late.run(job, script('echo ran > ran'));
    expect((await late.follow(job)).notStarted?.reason).toBe('that job was here, or was given up');
    expect(existsSync(tree('ran'))).toBe(false);
    // Neither does it for an agent after this one.
    late.close();
    await agent.end('SIGKILL');
    agent = await startAgent({ folder: agent.folder });
    peer = await AgentPeer.connect(agent.socket);
    peer.run(job, script('echo ran > ran'));
    expect((await peer.follow(job)).notStarted).toBeDefined();
    peer.send(attachTo(job));
    await told();
  },
);

test('that a job began is known to every agent after, however often one died', async () => {
  await synced({});
  const over = start('true');
  await peer.follow(over);
  peer.send({ type: 'finish', job: over });
  const refused = start('true', { tool: '/nowhere' });
  await peer.control.take('notStarted', ({ job }) => job.equals(refused));
  const cut = start('sleep 1000');
  await peer.control.take('started', ({ job }) => job.equals(cut));
  for (let death = 1; death <= 2; death++) {
    await agent.end('SIGKILL');
    agent = await startAgent({ folder: agent.folder });
  }
  peer = await AgentPeer.connect(agent.socket);
  for (const job of [over, cut]) {
    peer.send(attachTo(job));
    await peer.control.take('unknownJob', (told) => told.job.equals(job));
  }
  peer.send(attachTo(refused));
  await peer.control.take('notStarted', ({ kind }) => kind === 'never-seen');
});

test('a job whose owner stays away is ended whole, and its tree is trusted no more', async () => {
  peer.close();
  peer = await AgentPeer.connect(agent.socket, { ownerDeadline: 0.3 });
  await synced({});
  start('echo x > half; sleep 1000 & setsid sleep 1000 & wait');
  await peer.control.take('started');
  peer.close();
  peer = await AgentPeer.connect(agent.socket, { ownerDeadline: 0.3 });
  await usedSlots(0);
  const request = peer.sendSync({ ...at, from: 5n, to: 6n }, []);
  expect(await peer.answer(request)).toMatchObject({ type: 'syncMismatch', at: 0n });
  expect(await peer.syncWhole({ ...at, to: 7n }, manifestOf({}))).toMatchObject({ type: 'synced' });
  expect(readdirSync(tree())).toEqual([]);
});

test('results that were put aside go when their owner lets go of the job after all', async () => {
  const put = (): string[] => readdirSync(join(agent.folder, 'kept'));
  peer.close();
  peer = await AgentPeer.connect(agent.socket, { ownerDeadline: 0.3 });
  await synced({});
  const job = start('echo made > made');
  await peer.follow(job);
  peer.close();
  await expect.poll(put).toEqual([job.toString('hex')]);
  peer = await AgentPeer.connect(agent.socket, { workstation: 'other' });
  peer.send({ type: 'kill', job });
  const request = peer.nextRequest();
  peer.send({ type: 'ping', request });
  await peer.answer(request);
  expect(put()).toEqual([job.toString('hex')]);
  peer.close();
  peer = await AgentPeer.connect(agent.socket);
  peer.send({ type: 'kill', job });
  await expect.poll(put).toEqual([]);
});

test('a kill leaves no process, no slot and no folder, and the next sync restores the tree', async () => {
  await synced({ a: file('1') }, ['1']);
  const mark = `rch-test-${randomBytes(6).toString('hex')}`;
  const job = start(
    `echo 2 > a; (exec -a ${mark} setsid sleep 1000) & exec -a ${mark} sleep 1000`,
    {
      tool: '/bin/bash',
      argv: [
        'bash',
        '-c',
        `echo 2 > a; echo on; (exec -a ${mark} setsid sleep 1000) & exec -a ${mark} sleep 1000`,
      ],
    },
  );
  await peer.control.take('out');
  await usedSlots(1);
  peer.send({ type: 'kill', job });
  await usedSlots(0);
  expect(running(mark)).toBe(0);
  const request = peer.sendSync({ ...at, from: 5n, to: 6n }, []);
  expect(await peer.answer(request)).toMatchObject({ type: 'syncMismatch', at: 0n });
  expect(await peer.syncWhole({ ...at, to: 6n }, manifestOf({ a: file('1') }))).toMatchObject({
    type: 'synced',
  });
  expect(readFileSync(tree('a'), 'utf8')).toBe('1');
  await expect.poll(() => readdirSync(join(agent.folder, 'jobs'))).toEqual([]);
});

test('slots are counted for all, and a job that finds none is told busy', async () => {
  const other = await AgentPeer.connect(agent.socket, { workstation: 'second', totalSlots: 4 });
  await synced({});
  const job = start('sleep 1000', { spec: { roots, slots: 3 } });
  await usedSlots(3);
  const second = randomBytes(16);
  other.run(second, { argv: ['sh', '-c', 'echo ran'], cwd: '/', spec: { slots: 2 } });
  expect((await other.follow(second)).notStarted).toMatchObject({ kind: 'busy' });
  const third = randomBytes(16);
  other.run(third, { argv: ['sh', '-c', 'echo ran'], cwd: '/', spec: { slots: 1 } });
  expect((await other.follow(third)).stdout).toBe('ran\n');
  peer.send({ type: 'kill', job });
  other.close();
});

test('a job that may wait for slots runs as soon as they are free, and is told busy only after that', async () => {
  await synced({});
  const job = start('sleep 1000', { spec: { roots, slots: 3 } });
  await usedSlots(3);
  const other = await AgentPeer.connect(agent.socket, { workstation: 'second', totalSlots: 3 });
  const patient = randomBytes(16);
  const sh = { argv: ['sh', '-c', 'nproc'], cwd: '/' };
  other.run(patient, { ...sh, spec: { slots: 1, wished: 2, slotWaitMs: 60_000 } });
  const impatient = randomBytes(16);
  other.run(impatient, { ...sh, spec: { slots: 1, slotWaitMs: 1 } });
  expect((await other.follow(impatient)).notStarted).toMatchObject({ kind: 'busy' });
  peer.send({ type: 'kill', job });
  // It would have used two, and sees the one that it got.
  expect((await other.follow(patient)).stdout).toBe('1\n');
  const state = await other.control.take('state', ({ usedSlots: used }) => used === 1);
  expect(state).toMatchObject({ ownSlots: 1 });
  other.close();
});

test('jobs of one project run one after the other, in order', async () => {
  await synced({});
  const first = start('echo on; while [ ! -e go ]; do sleep 0.02; done; echo 1 >> order');
  await peer.control.take('out');
  const second = randomBytes(16);
  peer.run(
    second,
    script('echo 2 >> order', {
      spec: { roots: [{ root: 'root', path: project, policy: 0, epoch: '6' }] },
    }),
  );
  writeGo();
  await peer.follow(first);
  expect(
    peer.control.received.some(
      (message) => message.type === 'started' && message.job.equals(second),
    ),
  ).toBe(false);
  await peer.answer(settle(first, 6n));
  peer.send({ type: 'finish', job: first });
  const end = await peer.follow(second);
  expect(end.end).toMatchObject({ value: 0 });
  expect(readFileSync(tree('order'), 'utf8')).toBe('1\n2\n');
});

function writeGo(): void {
  execFileSync('touch', [tree('go')]);
}

test('compiler calls may run beside each other, and one does not return what the other still writes', async () => {
  await synced({});
  const concurrent = { roots, concurrent: true };
  const slow = start(
    'exec 3> slow.o; echo half >&3; echo on; while [ ! -e go ]; do sleep 0.02; done; echo rest >&3',
    { spec: concurrent },
  );
  await peer.control.take('out');
  const quick = start('echo quick > quick.o', { spec: concurrent });
  const end = await peer.follow(quick);
  expect([...changed(end).keys()].sort()).toEqual(['', 'quick.o']);
  expect(await peer.answer(settle(quick, 6n))).toMatchObject({ type: 'settled' });
  peer.send({ type: 'finish', job: quick });
  writeGo();
  const last = await peer.follow(slow);
  expect([...changed(last).keys()]).toContain('slow.o');
  expect([...changed(last).keys()]).not.toContain('quick.o');
  expect(await peer.answer(settle(slow, 7n))).toMatchObject({ type: 'settled' });
  peer.send({ type: 'finish', job: slow });
});

test('a worker whose clock is behind the newest file waits for it, or refuses', async () => {
  await synced({});
  const now = BigInt(Date.now()) * 1_000_000n;
  const late = await ran('true', { spec: { roots, newest: (now + 60_000_000_000n).toString() } });
  expect(late.notStarted).toMatchObject({ kind: 'clock-behind' });
  const soon = now + 300_000_000n;
  const job = start('true', { spec: { roots, newest: soon.toString() } });
  expect((await peer.control.take('started')).at).toBeGreaterThan(soon);
  await peer.follow(job);
});

test('a shifted clock shows in the window and in the times of what the run made, and in nothing else', async () => {
  peer.close();
  const hour = 3_600_000_000_000n;
  peer = await AgentPeer.connect(agent.socket, { clockShift: hour.toString() });
  await synced({ source: file('s') }, ['s']);
  const began = Date.now();
  const job = start('touch made; printf "# ninja log v5\\n" > .ninja_log; chmod 600 source');
  const end = await peer.follow(job);
  const result = end.results.get('root');
  const at = Number((result?.from ?? 0n) - hour) / 1e6;
  expect(at).toBeGreaterThan(began - 5000);
  expect(at).toBeLessThan(Date.now() + 5000);
  const made = changed(end).get('made');
  if (made?.kind !== 'file') throw new Error('not made');
  expect(made.mtime >= (result?.from ?? 0n) && made.mtime <= (result?.till ?? 0n)).toBe(true);
  expect(changed(end).get('source')).toEqual(file('s', 0o600));
  await peer.answer(settle(job, 6n, { offset: hour }));
  expect(statSync(tree('made'), { bigint: true }).mtimeNs).toBe(made.mtime - hour);
});

test('a program that is to run at home is told with the results', async () => {
  await synced({ bin: dir() });
  const end = await ran('', {
    tool: '/bin/bash',
    argv: [
      'bash',
      '-c',
      `echo made > made; cp /bin/true ${project}/bin/app; export X=1; unset FOO; cd bin; exec ${project}/bin/app "a b"`,
    ],
    env: ['PATH=/usr/bin:/bin', 'FOO=1'],
    spec: { roots, catchExec: [`${project}/bin/`] },
  });
  expect(end.execHere?.argv.map(String)).toEqual([`${project}/bin/app`, 'a b']);
  expect(end.execHere?.cwd.toString()).toBe(`${project}/bin`);
  expect(end.execHere?.setEnv.map(String)).toContain('X=1');
  expect(end.execHere?.unsetEnv.map(String)).toEqual(['FOO']);
  expect(end.execHere?.setEnv.map(String)).not.toContain('RCH_ON_WORKER=1');
  expect(changed(end).has('made')).toBe(true);
  expect(changed(end).has('bin/app')).toBe(true);
});

test('an agent that dies leaves no job behind, and the next one trusts no tree it was changing', async () => {
  await synced({ a: file('1') }, ['1']);
  const mark = `rch-test-${randomBytes(6).toString('hex')}`;
  start('', {
    tool: '/bin/bash',
    argv: ['bash', '-c', `echo 2 > a; echo on; exec -a ${mark} sleep 1000`],
  });
  await peer.control.take('out');
  await agent.end('SIGKILL');
  const { folder } = agent;
  agent = await startAgent({ folder });
  await expect.poll(() => running(mark)).toBe(0);
  peer = await AgentPeer.connect(agent.socket);
  const facts = agentFacts.parse(JSON.parse(peer.welcome?.json.toString() ?? ''));
  expect(facts.roots).toEqual({ root: '0' });
  expect(readdirSync(join(folder, 'jobs'))).toEqual([]);
});

test('a process waits for the next job, which takes it, and is not missed when it died', async () => {
  /** Empty when it ends while it is looked at. */
  const lineOf = (pid: string): string => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
    } catch {
      return '';
    }
  };
  const waiting = (): string[] =>
    readFileSync(`/proc/${agent.pid}/task/${agent.pid}/children`, 'latin1')
      .split(' ')
      .filter((pid) => pid !== '' && lineOf(pid).endsWith('/rch-run\0wait\0'));
  await synced({});
  const first = start('true');
  await peer.follow(first);
  peer.send({ type: 'finish', job: first });
  await expect.poll(waiting).toHaveLength(1);
  const [ready = ''] = waiting();
  const job = start('echo on; sleep 1000');
  await peer.control.take('out');
  expect(waiting()).toEqual([]);
  expect(lineOf(ready)).toMatch(/\/rch-run\0+$/);
  peer.send({ type: 'kill', job });
  await expect.poll(waiting).toHaveLength(1);
  process.kill(Number(waiting()[0]), 'SIGKILL');
  await synced({});
  expect((await ran('exit 3')).end).toMatchObject({ kind: 0, value: 3 });
});

test('an agent of another version is served in place of one that has jobs, and takes over when that is idle', async () => {
  const agentOf = ({ welcome }: AgentPeer): string =>
    agentFacts.parse(JSON.parse(welcome?.json.toString() ?? '')).agent;
  await synced({ a: file('1') }, ['1']);
  const job = start('echo on; read -r word; echo "$word" > a', {
    spec: { roots, streams: [StreamKind.pipe, StreamKind.pipe, StreamKind.pipe] },
  });
  await peer.control.take('out');
  const { folder } = agent;
  const newer = await startAgent({ folder, name: 'newer' });
  expect(newer.child.exitCode).toBe(0);
  expect(newer.said).toContain('is the agent here');
  peer.close();
  peer = await AgentPeer.connect(newer.socket);
  expect(agentOf(peer)).toBe('test');
  peer.send({
    ...{ type: 'attach', job, stdoutAt: 3n, stderrAt: 0n, terminalAt: 0n, stdinAt: 0n },
  });
  peer.send({ type: 'stdin', job, offset: 0n, data: Buffer.from('done\n') });
  expect((await peer.follow(job)).end).toMatchObject({ kind: 0, value: 0 });
  expect(readFileSync(tree('a'), 'utf8')).toBe('done\n');
  peer.send({ type: 'finish', job });
  const { child } = agent;
  const left = once(child, 'exit');
  peer.close();
  expect(await left).toEqual([0, null]);
  // What led to one that is gone leads nowhere, also when one of that name comes again.
  symlinkSync('newer.sock', join(folder, 'run', 'third.sock'));
  agent = await startAgent({ folder, name: 'newer' });
  expect(readdirSync(join(folder, 'run')).sort()).toEqual(['agent.lock', 'newer.sock']);
  peer = await AgentPeer.connect(agent.socket);
  expect(agentOf(peer)).toBe('newer');
});

const root = process.getuid?.() === 0;

test.skipIf(!root)(
  'a full disk refuses the job and the sync, and nothing is half done',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rch-agent-small-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=150m,mode=0700', 'tmpfs', folder]);
    const small = await startAgent({ folder });
    try {
      const link = await AgentPeer.connect(small.socket);
      const job = randomBytes(16);
      link.run(job, { argv: ['true'], tool: '/bin/true', cwd: '/' });
      expect((await link.follow(job)).notStarted).toMatchObject({ kind: 'disk-full' });
      const big: Entry = {
        kind: 'file',
        mode: 0o644,
        size: 400e6,
        mtime: MTIME,
        hash: '00'.repeat(32),
      };
      expect(await link.syncWhole({ ...at, to: 5n }, manifestOf({ big }))).toMatchObject({
        type: 'refused',
        kind: 'disk-full',
      });
      link.close();
    } finally {
      await small.end();
      execFileSync('umount', ['-l', folder]);
      rmSync(folder, { recursive: true });
    }
  },
);

test.skipIf(!root)(
  'without namespaces a real folder stands at the caller’s path, if it can be made',
  async () => {
    // Of this process alone: the same test may run beside it.
    const top = `/rch-test-${process.pid}`;
    const path = `${top}/p`;
    const worker = await startAgent({
      arguments: ['--without', 'namespaces', '--without', 'bubblewrap'],
    });
    const link = await AgentPeer.connect(worker.socket);
    try {
      expect(
        await link.syncWhole({ path: '/usr/bin', to: 5n, root: 'foreign' }, manifestOf({})),
      ).toMatchObject({ type: 'refused', kind: 'no-sandbox' });
      expect(
        await link.syncWhole({ path, to: 5n }, manifestOf({ a: file('1') }), ['1']),
      ).toMatchObject({ type: 'synced' });
      // Nothing would keep a tool from writing there: the store's own content must not be its name.
      const crate = `${top}/crate`;
      await link.syncWhole(
        { root: 'crate', path: crate, policy: 1, to: 5n },
        manifestOf({ c: file('crate') }),
        ['crate'],
      );
      expect(statSync(join(crate, 'c')).nlink).toBe(1);
      const there = [
        { root: 'root', path, policy: 0, epoch: '5' },
        { root: 'crate', path: crate, policy: 1, epoch: '5' },
      ];
      const ran = (spec: RunOptions['spec']): Promise<Followed> => {
        const job = randomBytes(16);
        link.run(job, {
          argv: ['sh', '-c', 'pwd; cat a; echo b > b'],
          cwd: path,
          spec: { roots: there, ...spec },
        });
        return link.follow(job);
      };
      const refused = await ran({});
      expect(refused.notStarted).toMatchObject({ kind: 'no-sandbox' });
      expect(refused.notStarted?.reason).toMatch(/outputs are known; .*bubblewrap/);
      expect(existsSync(join(path, 'b'))).toBe(false);
      const end = await ran({ outputs: [`${path}/b`], concurrent: true });
      expect(end.stdout).toBe(`${path}\n1`);
      expect(changed(end).has('b')).toBe(true);
    } finally {
      link.close();
      await worker.stop();
      clear(top);
    }
  },
);

test('an agent without any sandbox refuses with the mend', async () => {
  const worker = await startAgent({
    arguments: ['namespaces', 'bubblewrap', 'folder'].flatMap((method) => ['--without', method]),
  });
  const link = await AgentPeer.connect(worker.socket);
  const job = randomBytes(16);
  link.run(job, { argv: ['true'], tool: '/bin/true', cwd: '/' });
  const end = await link.follow(job);
  expect(end.notStarted).toMatchObject({ kind: 'no-sandbox' });
  expect(end.notStarted?.reason).toMatch(/bubblewrap|sysctl/);
  link.close();
  await worker.stop();
});

const bubblewrap = (process.env['PATH'] ?? '')
  .split(':')
  .some((folder) => existsSync(join(folder, 'bwrap')));

/** A time zone five and a half hours east, tzfile(5). */
function india(): Buffer {
  const head = Buffer.alloc(44);
  head.write('TZif2');
  head.writeUInt32BE(1, 36);
  head.writeUInt32BE(4, 40);
  const part = Buffer.concat([head, Buffer.from([0, 0, 0x4d, 0x58, 0, 0]), Buffer.from('IST\0')]);
  return Buffer.concat([part, part, Buffer.from('\nIST-5:30\n')]);
}

test
  .skipIf(!root)
  .each([
    { method: 'namespaces', without: [] },
    ...(bubblewrap ? [{ method: 'bubblewrap', without: ['--without', 'namespaces'] }] : []),
  ])(
  'a job sees nothing of the agent’s folder wherever that lies ($method)',
  async ({ without }) => {
    const folder = mkdtempSync('/opt/rch-agent-test-');
    const worker = await startAgent({ folder, arguments: without });
    const link = await AgentPeer.connect(worker.socket);
    try {
      await link.syncWhole({ ...at, to: 5n }, manifestOf({ a: file('1') }), ['1']);
      const job = randomBytes(16);
      const reach = `ls -A ${folder} ${folder}/trees ${folder}/run; [ -e ${worker.socket} ] && echo found; echo x > ${folder}/x`;
      const run = script(`cat a; ls -l /home/caller/shims | wc -l; ${reach}`, {
        env: ['PATH=/home/caller/shims:/usr/bin:/bin'],
      });
      const shims = { shimDir: '/home/caller/shims', shimTools: ['cat'] };
      link.run(job, { ...run, spec: { ...run.spec, ...shims } });
      const end = await link.follow(job);
      expect(end.stdout).toBe(`12\n${folder}:\n`);
      expect(end.stderr).toMatch(/Read-only file system/);
      expect(existsSync(join(folder, 'x'))).toBe(false);
    } finally {
      link.close();
      await worker.stop();
    }
  },
);

const machine = { host: 'engine', zone: india().toString('base64') };
/** Nobody may tell by these where a job runs. */
const whereabouts = 'uname -n; getent hosts engine; date +%z';
const foundOut = /^engine\n127\.0\.1\.1 +engine\n\+0530\n/;

test('a job finds the name and the time zone of the machine of its caller', async () => {
  await peer.syncWhole({ ...at, to: 5n }, manifestOf({ a: file('1') }), ['1']);
  const job = randomBytes(16);
  const run = script(whereabouts);
  peer.run(job, { ...run, spec: { ...run.spec, machine } });
  const end = await peer.follow(job);
  expect(end.stdout).toMatch(foundOut);
});

test.skipIf(!bubblewrap)(
  'a sandbox that was mended is noticed by the agent that runs',
  async () => {
    const path = mkdtempSync(join(tmpdir(), 'rch-agent-path-'));
    const worker = await startAgent({ arguments: ['--without', 'namespaces'], path });
    const link = await AgentPeer.connect(worker.socket);
    try {
      const method = (json: Buffer): string =>
        agentFacts.parse(JSON.parse(json.toString())).sandbox.method;
      expect(method(link.welcome?.json ?? Buffer.alloc(0))).toBe('folder');
      const programs = (process.env['PATH'] ?? '')
        .split(':')
        .map((folder) => join(folder, 'bwrap'));
      symlinkSync(programs.find((program) => existsSync(program)) ?? '', join(path, 'bwrap'));
      const request = link.nextRequest();
      link.send({ type: 'probe', request, json: Buffer.from('{"tools":[]}') });
      expect(method((await link.control.take('facts')).json)).toBe('bubblewrap');
    } finally {
      link.close();
      await worker.stop();
      rmSync(path, { recursive: true });
    }
  },
);

test.skipIf(!bubblewrap)(
  'bubblewrap gives the same view where namespaces are refused',
  async () => {
    const worker = await startAgent({ arguments: ['--without', 'namespaces'] });
    const link = await AgentPeer.connect(worker.socket);
    try {
      const facts = agentFacts.parse(JSON.parse(link.welcome?.json.toString() ?? ''));
      expect(facts.sandbox.method).toBe('bubblewrap');
      expect(
        await link.syncWhole({ ...at, to: 5n }, manifestOf({ a: file('1') }), ['1']),
      ).toMatchObject({ type: 'synced' });
      const job = randomBytes(16);
      const run = script(
        whereabouts +
          '; pwd; id -un; cat a; echo b > b; ls /home/caller; echo x > /tmp/rch-bw; echo x > /usr/x; exit 6',
      );
      link.run(job, { ...run, spec: { ...run.spec, machine } });
      const end = await link.follow(job);
      expect(end.stdout).toMatch(foundOut);
      expect(end.stdout.replace(foundOut, '')).toBe(`${project}\ncaller\n1p\n`);
      expect(end.stderr).toContain('Read-only file system');
      expect(end.end).toMatchObject({ kind: 0, value: 6 });
      expect(changed(end).has('b')).toBe(true);
      expect(existsSync('/tmp/rch-bw')).toBe(false);
    } finally {
      link.close();
      await worker.stop();
    }
  },
);
