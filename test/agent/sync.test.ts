import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { agentFacts } from '../../src/protocol/facts.ts';
import { packRun, type Run } from '../../src/protocol/pieces.ts';
import { Chunker, Outline } from '../../src/tree/chunks.ts';
import type { AgentMessage } from '../../src/protocol/agent.ts';
import {
  AgentPeer,
  dir,
  file,
  hashOf,
  manifestOf,
  MTIME,
  type Of,
  PeerStream,
  type RunningAgent,
  startAgent,
  symlink,
} from '../rig/agent-peer.ts';

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

const at = { path: '/home/caller/p' };
const tree = (name = ''): string => join(agent.folder, 'trees/station/root/t', name);

test('a hello is answered with valid facts of the machine', () => {
  const facts = agentFacts.parse(JSON.parse(peer.welcome?.json.toString() ?? ''));
  expect(facts.folder).toBe(agent.folder);
  expect(facts.totalSlots).toBe(4);
  expect(facts.sandbox.method).not.toBe('none');
  expect(facts.roots).toEqual({});
});

test('a ping tells the clock, shifted as hello asked', async () => {
  /** Whether the answer was given between the question and now, by a clock so far ahead. */
  const isOfNow = ({ now }: Of<'pong'>, since: number, ahead = 0): boolean => {
    const at = Number(now) / 1e6 - ahead;
    return at >= since - 1000 && at <= Date.now() + 1000;
  };
  const began = Date.now();
  peer.send({ type: 'ping', request: 7 });
  const pong = await peer.control.take('pong');
  expect(pong.request).toBe(7);
  expect(isOfNow(pong, began)).toBe(true);
  const shifted = await AgentPeer.connect(agent.socket, {
    workstation: 'other',
    clockShift: '3600000000000',
  });
  shifted.send({ type: 'ping', request: 8 });
  expect(isOfNow(await shifted.control.take('pong'), began, 3_600_000)).toBe(true);
  shifted.close();
});

test('a probe tells the tools that are there', async () => {
  peer.send({
    type: 'probe',
    request: 9,
    json: Buffer.from(JSON.stringify({ tools: ['sh', 'no-such-tool'] })),
  });
  const answer = await peer.control.take('facts');
  const facts = agentFacts.parse(JSON.parse(answer.json.toString()));
  expect(facts.tools.map((tool) => tool.name)).toEqual(['sh']);
});

test('a whole tree arrives exactly: contents, modes, times, links, empty folders, odd names', async () => {
  const odd = 'na\xefve \n name';
  const manifest = manifestOf({
    empty: dir(0o700),
    'hello.c': file('int main;', 0o755),
    nothing: file(''),
    sub: dir(),
    'sub/link': symlink('../hello.c'),
    'sub/same': { kind: 'hardlink', to: 'hello.c' },
    [odd]: file('odd'),
  });
  const answer = await peer.syncWhole({ ...at, to: 5n }, manifest, ['int main;', 'odd']);
  expect(answer).toMatchObject({ type: 'synced', epoch: 5n });
  expect(readFileSync(tree('hello.c'), 'utf8')).toBe('int main;');
  const info = statSync(tree('hello.c'), { bigint: true });
  expect(info.mtimeNs).toBe(MTIME);
  expect(Number(info.mode) & 0o7777).toBe(0o755);
  expect(statSync(tree('sub/same'), { bigint: true }).ino).toBe(info.ino);
  expect(readlinkSync(tree('sub/link'))).toBe('../hello.c');
  expect(lstatSync(tree('sub/link'), { bigint: true }).mtimeNs).toBe(MTIME);
  expect(statSync(tree('sub'), { bigint: true }).mtimeNs).toBe(MTIME);
  expect(statSync(tree('empty')).mode & 0o7777).toBe(0o700);
  expect(readFileSync(Buffer.from(tree(odd), 'latin1'), 'utf8')).toBe('odd');
  expect(statSync(tree('nothing')).size).toBe(0);
});

test('an epoch moves on by changes, and any other epoch is a mismatch', async () => {
  await peer.syncWhole({ ...at, to: 5n }, manifestOf({ a: file('1'), b: file('2') }), ['1', '2']);
  peer.sendContent(Buffer.from('changed'));
  const request = peer.sendSync({ ...at, from: 5n, to: 6n }, [
    { op: 'gone', path: 'b' },
    { op: 'put', path: '', entry: dir() },
    { op: 'put', path: 'a', entry: file('changed') },
  ]);
  // Sent ahead, so nothing is asked for.
  expect(await peer.answer(request)).toMatchObject({ type: 'synced', epoch: 6n });
  expect(readFileSync(tree('a'), 'utf8')).toBe('changed');
  expect(readdirSync(tree())).toEqual(['a']);
  const late = peer.sendSync({ ...at, from: 5n, to: 7n }, []);
  expect(await peer.answer(late)).toMatchObject({ type: 'syncMismatch', at: 6n });
  const unknown = peer.sendSync({ ...at, root: 'new', from: 5n, to: 7n }, []);
  expect(await peer.answer(unknown)).toMatchObject({ type: 'syncMismatch', at: 0n });
});

test('a file that was moved is not sent again', async () => {
  const data = 'content';
  await peer.syncWhole({ ...at, to: 5n }, manifestOf({ a: file(data) }), [data]);
  const again = await peer.syncWhole(
    { ...at, root: 'second', to: 9n },
    manifestOf({ b: file(data) }),
  );
  expect(again.type).toBe('synced');
  expect(readFileSync(join(agent.folder, 'trees/station/second/t/b'), 'utf8')).toBe(data);
});

test('an interrupted content goes on where it stopped, on any stream', async () => {
  const data = randomBytes(5 << 20);
  const manifest = manifestOf({ big: file(data) });
  const changes = [...manifest].map(([path, entry]) => ({ op: 'put' as const, path, entry }));
  const first = peer.sendSync({ ...at, to: 5n, whole: true }, changes);
  expect(await peer.answer(first)).toMatchObject({ type: 'syncNeed' });
  const bulk = await peer.openBulk();
  peer.sendContent(data, bulk, 0, 2 << 20);
  // The agent works off a stream in order: what it answers afterwards it says with the pieces taken.
  bulk.send({ type: 'ping', request: 77 });
  await peer.control.take('pong');
  peer.close();
  await bulk.untilClosed();

  peer = await AgentPeer.connect(agent.socket);
  const request = peer.sendSync({ ...at, to: 5n, whole: true }, changes);
  const need = await peer.answer(request);
  if (need.type !== 'syncNeed') throw new Error(need.type);
  expect(need.partial.readBigUInt64LE()).toBe(2n << 20n);
  peer.sendContent(data, await peer.openBulk(), 2 << 20);
  expect(await peer.answer(request)).toMatchObject({ type: 'synced' });
  expect(readFileSync(tree('big')).equals(data)).toBe(true);
});

test('the pieces of a content may come on several streams, each in its order', async () => {
  const data = randomBytes(5 << 20);
  const changes = [...manifestOf({ big: file(data) })].map(([path, entry]) => ({
    op: 'put' as const,
    path,
    entry,
  }));
  const first = peer.sendSync({ ...at, to: 5n, whole: true }, changes);
  expect(await peer.answer(first)).toMatchObject({ type: 'syncNeed' });
  const [odd, even] = [await peer.openBulk(), await peer.openBulk()];
  const piece = (at: number, stream: typeof odd): void => {
    peer.sendContent(data, stream, at << 20, (at + 1) << 20);
  };
  piece(1, odd);
  piece(3, odd);
  // Nothing that comes later on a stream passes what waits there.
  odd.send({ type: 'ping', request: 77 });
  peer.send({ type: 'ping', request: 78 });
  expect(await peer.control.take('pong')).toMatchObject({ request: 78 });
  for (const at of [0, 2, 4]) piece(at, even);
  expect(await peer.answer(first)).toMatchObject({ type: 'synced' });
  expect(readFileSync(tree('big')).equals(data)).toBe(true);
});

test('a piece that waits for one before it is forgotten with the sync that it was for', async () => {
  const data = randomBytes(3 << 20);
  const changes = [...manifestOf({ big: file(data) })].map(([path, entry]) => ({
    op: 'put' as const,
    path,
    entry,
  }));
  const first = peer.sendSync({ ...at, to: 5n, whole: true }, changes);
  expect(await peer.answer(first)).toMatchObject({ type: 'syncNeed' });
  const bulk = await peer.openBulk();
  peer.sendContent(data, bulk, 1 << 20);
  bulk.send({ type: 'ping', request: 77 });
  peer.send({ type: 'withdraw', request: first });
  expect(await peer.answer(first)).toMatchObject({ type: 'refused' });
  // The stream goes on.
  expect(await peer.control.take('pong')).toMatchObject({ request: 77 });
  expect(
    await peer.syncWhole({ ...at, to: 6n }, manifestOf({ big: file(data) }), [data]),
  ).toMatchObject({ type: 'synced' });
});

/** A sync of `data` over `base` at the path `a`, up to the agent's question; and what the agent tells of `base`. */
async function outlinedSync(
  base: Buffer,
  data: Buffer,
): Promise<{ request: number; outlined: Extract<AgentMessage, { type: 'outlined' }> }> {
  await peer.syncWhole({ ...at, to: 5n }, manifestOf({ a: file(base) }), [base]);
  const change = { op: 'put', path: 'a', entry: file(data) } as const;
  const request = peer.sendSync({ ...at, from: 5n, to: 6n }, [change]);
  expect(await peer.answer(request)).toMatchObject({ type: 'syncNeed' });
  const question = peer.nextRequest();
  const hash = Buffer.from(hashOf(data), 'hex');
  peer.send({ type: 'outline', request: question, sync: request, hash });
  return { request, outlined: await peer.control.take('outlined') };
}

/** Pieces of `data`, each of them a run or bytes. */
function sendPieces(data: Buffer, base: string, pieces: readonly (Run | Buffer)[]): void {
  let offset = 0n;
  for (const piece of pieces) {
    const packed = Buffer.isBuffer(piece) ? { codec: 0, data: piece } : packRun(piece);
    peer.send({
      type: 'blob',
      hash: Buffer.from(hashOf(data), 'hex'),
      size: BigInt(data.length),
      offset,
      base: Buffer.from(base, 'hex'),
      ...packed,
    });
    offset += BigInt(piece.length);
  }
}

test('a content may come as copies of what stands in its place, and as zeros', async () => {
  const base = randomBytes(300_000);
  const zeros = Buffer.alloc(3_000_000);
  const data = Buffer.concat([base.subarray(1000), Buffer.from('more'), zeros]);
  const { request, outlined } = await outlinedSync(base, data);
  expect(outlined.base.toString('hex')).toBe(hashOf(base));
  const outline = Outline.read(outlined.bits, outlined.chunks);
  const [second] = new Chunker(outlined.bits).push(base).slice(1);
  expect(outline?.find(second ?? Buffer.alloc(0))).toBeGreaterThan(0);
  const copy = { length: 299_000, from: 1000 };
  sendPieces(data, hashOf(base), [copy, Buffer.from('more'), { length: zeros.length }]);
  expect(await peer.answer(request)).toMatchObject({ type: 'synced' });
  expect(readFileSync(tree('a')).equals(data)).toBe(true);
  expect(statSync(tree('a')).blocks * 512).toBeLessThan(1_000_000);
});

test('copies that make something else are refused, and sending the whole helps', async () => {
  const base = randomBytes(300_000);
  const data = Buffer.concat([Buffer.from('more'), base]);
  const { request } = await outlinedSync(base, data);
  const wrong = { length: base.length - 7, from: 7 };
  sendPieces(data, hashOf(base), [Buffer.from('more'), wrong, randomBytes(7)]);
  expect(await peer.answer(request)).toMatchObject({ type: 'refused', kind: 'bad-content' });
  expect(readFileSync(tree('a')).equals(base)).toBe(true);
  const again = await peer.syncWhole({ ...at, to: 7n }, manifestOf({ a: file(data) }), [data]);
  expect(again).toMatchObject({ type: 'synced' });
  expect(readFileSync(tree('a')).equals(data)).toBe(true);
});

test('copies from what was not lent, or from beyond its end, are refused', async () => {
  const base = randomBytes(300_000);
  const data = Buffer.concat([base, Buffer.from('more')]);
  for (const [from, of] of [
    [0, hashOf(Buffer.from('something else'))],
    [1e9, hashOf(base)],
  ] as const) {
    const { request } = await outlinedSync(base, data);
    sendPieces(data, of, [{ length: 300_000, from }]);
    expect(await peer.answer(request)).toMatchObject({ type: 'refused', kind: 'bad-content' });
  }
});

test('there are no chunks of what stands in no place, or of a sync that is over', async () => {
  const hash = Buffer.from(hashOf(Buffer.from('new')), 'hex');
  const request = peer.sendSync({ ...at, to: 5n, whole: true }, [
    { op: 'put', path: '', entry: dir() },
    { op: 'put', path: 'a', entry: file('new') },
  ]);
  await peer.answer(request);
  for (const sync of [request, 4000]) {
    peer.send({ type: 'outline', request: 99, sync, hash });
    const outlined = await peer.control.take('outlined');
    expect([outlined.base.length, outlined.chunks.length]).toEqual([0, 0]);
  }
});

test('a whole sync restores a tree that somebody changed', async () => {
  const manifest = manifestOf({ a: file('1'), d: dir(), 'd/b': file('2') });
  await peer.syncWhole({ ...at, to: 5n }, manifest, ['1', '2']);
  writeFileSync(tree('a'), 'X');
  rmSync(tree('d'), { recursive: true });
  mkdirSync(tree('extra'));
  symlinkSync('/etc', tree('extra/out'));
  expect(await peer.syncWhole({ ...at, to: 9n }, manifest)).toMatchObject({ type: 'synced' });
  expect(readFileSync(tree('a'), 'utf8')).toBe('1');
  expect(readFileSync(tree('d/b'), 'utf8')).toBe('2');
  expect(existsSync(tree('extra'))).toBe(false);
  expect(existsSync('/etc/passwd')).toBe(true);
});

test('epochs and trees outlive the agent', async () => {
  await peer.syncWhole({ ...at, to: 5n }, manifestOf({ a: file('1') }), ['1']);
  const second = peer.sendSync({ ...at, from: 5n, to: 6n }, [
    { op: 'put', path: 'link', entry: symlink('a') },
  ]);
  expect(await peer.answer(second)).toMatchObject({ type: 'synced' });
  peer.close();
  await agent.end();
  const folder = agent.folder;
  agent = await startAgent({ folder });
  peer = await AgentPeer.connect(agent.socket);
  const facts = agentFacts.parse(JSON.parse(peer.welcome?.json.toString() ?? ''));
  expect(facts.roots).toEqual({ root: '6' });
  const request = peer.sendSync({ ...at, from: 6n, to: 7n }, [{ op: 'gone', path: 'a' }]);
  expect(await peer.answer(request)).toMatchObject({ type: 'synced', epoch: 7n });
  expect(readdirSync(tree())).toEqual(['link']);
});

test('a read-only root shares its files with the store', async () => {
  await peer.syncWhole({ ...at, policy: 1, to: 5n }, manifestOf({ a: file('shared') }), ['shared']);
  expect(statSync(tree('a')).nlink).toBeGreaterThan(1);
  const project = await peer.syncWhole(
    { ...at, root: 'writable', to: 6n },
    manifestOf({ a: file('shared') }),
  );
  expect(project.type).toBe('synced');
  expect(statSync(join(agent.folder, 'trees/station/writable/t/a')).nlink).toBe(1);
});

/** Sends a sync whose packed bytes are given, and tells how it ended. */
async function hostile(
  changes: Buffer,
  root = 'root',
  path = '/home/caller/p',
): Promise<AgentMessage> {
  const request = peer.nextRequest();
  peer.send({
    type: 'sync',
    request,
    root,
    path: Buffer.from(path),
    policy: 0,
    from: 0n,
    to: 3n,
    whole: true,
    changes,
    last: true,
  });
  return peer.answer(request);
}

/** One `put` of a symlink, packed by hand, so that nothing checks it here. */
function packedLink(path: string): Buffer {
  const record = Buffer.alloc(1 + 1 + 2 + 2 + path.length + 8 + 2 + 1);
  let end = record.writeUInt8(1, 0);
  end = record.writeUInt8(2, end);
  end = record.writeUInt16LE(0, end);
  end = record.writeUInt16LE(path.length, end);
  end += record.write(path, end, 'latin1');
  end = record.writeBigInt64LE(1n, end);
  end = record.writeUInt16LE(1, end);
  record.write('x', end);
  return record;
}

test('paths that lead out of a root are refused before anything is touched', async () => {
  for (const path of ['../x', '/etc/x', 'a/../../x', 'a//b', './x', 'a/.', 'nul\0byte', ''])
    expect(await hostile(packedLink(path)), path).toMatchObject({
      type: 'refused',
      kind: 'bad-path',
    });
  expect(await hostile(Buffer.from('nonsense'))).toMatchObject({
    type: 'refused',
    kind: 'bad-path',
  });
  for (const root of ['..', '../x', 'a/b', '', '.hidden'])
    expect(await hostile(packedLink('a'), root), root).toMatchObject({
      type: 'refused',
      kind: 'bad-path',
    });
  for (const path of ['/', '/etc', 'relative', '/a/../etc', '/proc'])
    expect(await hostile(packedLink('a'), 'root', path), path).toMatchObject({
      type: 'refused',
      kind: 'bad-path',
    });
  expect(readdirSync(join(agent.folder, 'trees'))).toEqual([]);
});

test('nothing is written through a symlink that stands in the tree', async () => {
  const outside = join(agent.folder, 'outside');
  mkdirSync(outside);
  await peer.syncWhole({ ...at, to: 5n }, manifestOf({ a: dir(), 'a/x': file('1') }), ['1']);
  rmSync(tree('a'), { recursive: true });
  symlinkSync(outside, tree('a'));
  peer.sendContent(Buffer.from('2'));
  const request = peer.sendSync({ ...at, from: 5n, to: 6n }, [
    { op: 'put', path: 'a/x', entry: file('2') },
  ]);
  expect((await peer.answer(request)).type).toBe('syncMismatch');
  expect(readdirSync(outside)).toEqual([]);
  // After that nobody vouches for the tree, and the whole manifest mends it.
  const manifest = manifestOf({ a: dir(), 'a/x': file('2') });
  expect(await peer.syncWhole({ ...at, to: 7n }, manifest)).toMatchObject({ type: 'synced' });
  expect(readFileSync(tree('a/x'), 'utf8')).toBe('2');
  expect(readdirSync(outside)).toEqual([]);
});

test('a content that is not what its hash says is refused and not kept', async () => {
  const request = peer.sendSync({ ...at, to: 5n, whole: true }, [
    { op: 'put', path: '', entry: dir() },
    { op: 'put', path: 'a', entry: file('good') },
  ]);
  await peer.answer(request);
  peer.send({
    type: 'blob',
    hash: Buffer.from(hashOf(Buffer.from('good')), 'hex'),
    size: 4n,
    offset: 0n,
    codec: 0,
    base: Buffer.alloc(0),
    data: Buffer.from('evil'),
  });
  expect(await peer.answer(request)).toMatchObject({ type: 'refused', kind: 'bad-content' });
  expect(existsSync(tree('a'))).toBe(false);
  expect(
    await peer.syncWhole({ ...at, to: 6n }, manifestOf({ a: file('good') }), ['good']),
  ).toMatchObject({ type: 'synced' });
});

test('a content longer than it says, or of another size is refused', async () => {
  const data = randomBytes(100);
  const hash = Buffer.from(hashOf(data), 'hex');
  const base = Buffer.alloc(0);
  for (const [size, offset, bytes] of [
    [100n, 0n, 101],
    [99n, 0n, 99],
  ] as const) {
    const request = peer.sendSync({ ...at, to: 5n, whole: true }, [
      { op: 'put', path: '', entry: dir() },
      { op: 'put', path: 'a', entry: file(data) },
    ]);
    await peer.answer(request);
    peer.send({ type: 'blob', hash, size, offset, codec: 0, base, data: Buffer.alloc(bytes) });
    expect(await peer.answer(request)).toMatchObject({ type: 'refused', kind: 'bad-content' });
  }
});

test('a connection that says nonsense is cut off, and the agent goes on', async () => {
  const stream = await PeerStream.open(agent.socket);
  stream.socket.write(Buffer.from([255, 255, 255, 255, 1, 2, 3]));
  await stream.untilClosed();
  const early = await PeerStream.open(agent.socket);
  early.send({ type: 'ping', request: 1 });
  await early.take('refused');
  await early.untilClosed();
  const wrong = await PeerStream.open(agent.socket);
  wrong.send({
    type: 'hello',
    protocol: 99,
    version: 'x',
    session: Buffer.alloc(16),
    bulk: false,
    json: Buffer.from('{}'),
  });
  expect((await wrong.take('refused')).reason).toContain('protocol');
  peer.send({ type: 'ping', request: 2 });
  await peer.control.take('pong');
});

test('the store keeps its bound and what is asked for is freed', async () => {
  peer.close();
  peer = await AgentPeer.connect(agent.socket, { storeLimit: 3e6 });
  const contents = [1, 2, 3, 4].map(() => randomBytes(1e6));
  for (const [index, data] of contents.entries()) {
    const root = `root${index}`;
    const synced = await peer.syncWhole({ ...at, root, to: 5n }, manifestOf({ big: file(data) }), [
      data,
    ]);
    expect(synced.type).toBe('synced');
  }
  peer.send({ type: 'collect', request: 99, bytes: 1_500_000n });
  const collected = await peer.control.take('collected');
  expect(collected.contents + collected.trees).toBeGreaterThan(0n);
  expect(Number(collected.held)).toBeLessThanOrEqual(1_500_000);
  const used = execFileSync('find', [agent.folder, '-type', 'f', '-printf', '%s\n'], {
    encoding: 'utf8',
  })
    .trim()
    .split('\n')
    .reduce((sum, bytes) => sum + Number(bytes), 0);
  expect(used).toBeLessThan(1_700_000);
  // What went is asked for again.
  const [first] = contents;
  if (first === undefined) throw new Error('no content');
  const again = await peer.syncWhole(
    { ...at, root: 'root0', to: 9n },
    manifestOf({ big: file(first) }),
    [first],
  );
  expect(again.type).toBe('synced');
});

test('two workstations share an agent and see only their own roots', async () => {
  const other = await AgentPeer.connect(agent.socket, { workstation: 'second', totalSlots: 2 });
  await peer.syncWhole({ ...at, to: 5n }, manifestOf({ a: file('1') }), ['1']);
  expect(await other.syncWhole({ ...at, to: 8n }, manifestOf({ b: file('1') }))).toMatchObject({
    epoch: 8n,
  });
  expect(readdirSync(tree())).toEqual(['a']);
  const again = await AgentPeer.connect(agent.socket, { workstation: 'second' });
  const facts = agentFacts.parse(JSON.parse(again.welcome?.json.toString() ?? ''));
  expect(facts.roots).toEqual({ root: '8' });
  other.close();
  again.close();
});

test('one agent a socket: a second one leaves, and a stale socket is taken over', async () => {
  const second = await startAgent({ folder: agent.folder });
  expect(second.child.exitCode).toBe(0);
  expect(second.said).toContain('is the agent here');
  peer.close();
  await agent.end('SIGKILL');
  expect(existsSync(agent.socket)).toBe(true);
  const { folder } = agent;
  agent = await startAgent({ folder });
  peer = await AgentPeer.connect(agent.socket);
});

test('a folder that is not ours alone is refused or closed', async () => {
  const folder = join(agent.folder, 'elsewhere');
  mkdirSync(folder);
  symlinkSync(folder, join(agent.folder, 'link'));
  const linked = await startAgent({ folder: join(agent.folder, 'link') });
  expect(linked.child.exitCode).toBe(1);
  mkdirSync(join(folder, 'run'), { mode: 0o777 });
  const open = await startAgent({ folder });
  expect(statSync(join(folder, 'run')).mode & 0o777).toBe(0o700);
  await open.end();
});

test('SIGTERM ends it cleanly, and so does the end of its parent or a long idle time', async () => {
  peer.close();
  await agent.end();
  expect(agent.child.exitCode).toBe(0);
  expect(existsSync(agent.socket)).toBe(false);
  const { folder } = agent;
  const idle = await startAgent({ folder, arguments: ['--idle', '0.05'] });
  if (idle.child.exitCode === null) await once(idle.child, 'exit');
  expect(idle.child.exitCode).toBe(0);
  const orphan = await startAgent({ folder, arguments: ['--parent', '4194999'] });
  if (orphan.child.exitCode === null) await once(orphan.child, 'exit');
  agent = orphan;
});

test('many small contents leave no file open behind them', async () => {
  const contents = Array.from({ length: 500 }, (_, index) => `content ${index}`);
  const entries = Object.fromEntries(contents.map((data, index) => [`f${index}`, file(data)]));
  const before = readdirSync(`/proc/${agent.pid}/fd`).length;
  expect(await peer.syncWhole({ ...at, to: 5n }, manifestOf(entries), contents)).toMatchObject({
    type: 'synced',
  });
  expect(readdirSync(`/proc/${agent.pid}/fd`).length).toBeLessThan(before + 20);
  expect(readdirSync(join(agent.folder, 'store/partial'))).toEqual([]);
});

test('the agent stays small', async () => {
  const entries = Object.fromEntries(
    Array.from({ length: 10_000 }, (_, index) => [`f${index}`, file('same')]),
  );
  expect(await peer.syncWhole({ ...at, to: 5n }, manifestOf(entries), ['same'])).toMatchObject({
    type: 'synced',
  });
  const status = readFileSync(`/proc/${agent.pid}/status`, 'utf8');
  const resident = Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1]);
  expect(resident).toBeLessThan(200 * 1024);
});
