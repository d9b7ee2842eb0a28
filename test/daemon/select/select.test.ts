import { expect, test } from 'vitest';
import { grantedSlots, select, type Contender, type Wish } from '../../../daemon/select/select.ts';
import { agentFactsLikeHere } from '../front/rig.ts';

const facts = await agentFactsLikeHere(['make']);
const connected = {
  kind: 'connected',
  since: 0,
  facts,
  factsAt: 0,
  slots: { total: 8, used: 0 },
  freeBytes: 1e12,
  clockOffset: 0n,
  roundTrip: 1,
  load: 0,
  clockSet: undefined,
  silentMs: 0,
} as const;

const contender = (id: string, more: Partial<Contender> = {}): Contender => ({
  id,
  priority: 100,
  state: connected,
  health: { kind: 'healthy' },
  ownSlots: 0,
  probed: new Set(['make']),
  speed: undefined,
  prospect: { missing: 1, thereMs: undefined },
  ...more,
});

const makePath = facts.tools.find((tool) => tool.name === 'make')?.path ?? '';
const wish: Wish = {
  match: {
    requirements: [
      { kind: 'arch' },
      { kind: 'tool', name: 'make', path: makePath, why: 'it is the tool' },
    ],
    local: facts,
  },
  slots: 4,
  worker: undefined,
  workers: undefined,
  tried: new Map(),
  project: { allowed: undefined, blocked: [], preferred: undefined, minSpeed: undefined },
  weights: { speed: 0.35, slots: 0.25, affinity: 0.25, cost: 0.15 },
  hereMs: undefined,
  network: true,
};

test('the highest score wins: priority, then where the project is, then what is free', () => {
  const of = (...contenders: Contender[]) => select(contenders, wish);
  const busy = { ...connected, slots: { total: 8, used: 4 } };
  expect(of(contender('a'), contender('b', { priority: 200 }))).toMatchObject({ worker: 'b' });
  expect(
    of(contender('a'), contender('b', { prospect: { missing: 0, thereMs: undefined } })),
  ).toMatchObject({ worker: 'b' });
  expect(of(contender('a', { state: busy }), contender('b'))).toMatchObject({ worker: 'b' });
  expect(of(contender('a'), contender('b'))).toMatchObject({ worker: 'a', slots: 4 });
});

test('each refused worker carries its reason, and the nearest miss is the answer', () => {
  const away = { kind: 'unreachable', since: 0, reason: 'no route', next: 'ping it' } as const;
  const other = { ...connected, facts: { ...facts, arch: 'aarch64' } };
  const selection = select(
    [contender('away', { state: away }), contender('other', { state: other })],
    wish,
  );
  expect(selection).toMatchObject({ kind: 'none', busy: false, pending: false });
  if (selection.kind !== 'none') return;
  expect(selection.reason).toMatch(/^no worker can take it: other: the worker is aarch64/);
  expect(selection.table.map((row) => row.refusal)).toEqual([
    'it is unreachable: no route',
    `the worker is aarch64, this machine ${facts.arch}`,
  ]);
});

test('RCH_WORKER and RCH_WORKERS and the project exclude workers', () => {
  const both = [contender('a'), contender('b')];
  expect(select(both, { ...wish, worker: 'b' })).toMatchObject({ worker: 'b' });
  expect(select(both, { ...wish, workers: ['b', 'c'] })).toMatchObject({ worker: 'b' });
  expect(select(both, { ...wish, project: { ...wish.project, blocked: ['a'] } })).toMatchObject({
    worker: 'b',
  });
  expect(select(both, { ...wish, worker: 'z' })).toMatchObject({
    kind: 'none',
    reason: 'RCH_WORKER asks for z, which is no worker of ours',
  });
});

test('a command that may have no network goes where it can be kept off it', () => {
  const folder = {
    ...connected,
    facts: { ...facts, sandbox: { method: 'folder', mend: 'install bubblewrap' } as const },
  };
  const alone = { ...wish, network: false };
  expect(select([contender('a', { state: folder }), contender('b')], alone)).toMatchObject({
    worker: 'b',
  });
  expect(select([contender('a', { state: folder })], alone)).toMatchObject({
    kind: 'none',
    reason:
      'no worker can take it: a: it cannot keep a command off the network (sandbox.network = false)',
    next: 'install bubblewrap',
  });
  expect(select([contender('a', { state: folder })], wish)).toMatchObject({ worker: 'a' });
});

test('a worker that runs the same command already needs no free slot for it', () => {
  const full = { ...connected, slots: { total: 8, used: 8 } };
  expect(select([contender('a', { state: full })], wish)).toMatchObject({
    kind: 'none',
    busy: true,
  });
  expect(select([contender('a', { state: full, joins: true })], wish)).toMatchObject({
    worker: 'a',
  });
});

test('a project may allow workers, prefer one, and ask for speed', () => {
  const both = [contender('a', { speed: 120 }), contender('b', { speed: 40 })];
  const of = (project: Partial<Wish['project']>) =>
    select(both, { ...wish, project: { ...wish.project, ...project } });
  expect(of({})).toMatchObject({ worker: 'a' });
  expect(of({ preferred: 'b' })).toMatchObject({ worker: 'b' });
  expect(of({ allowed: ['b'] })).toMatchObject({ worker: 'b' });
  expect(of({ allowed: ['b'], minSpeed: 50 })).toMatchObject({
    kind: 'none',
    table: [
      { refusal: "the project's configuration allows only b" },
      { refusal: "its speed is 40, and the project's configuration asks for 50" },
    ],
  });
});

test('each term of the score can decide, by its weight', () => {
  const only = (term: keyof Wish['weights']): Wish['weights'] => ({
    ...{ speed: 0, slots: 0, affinity: 0, cost: 0 },
    [term]: 1,
  });
  const better: Record<keyof Wish['weights'], Partial<Contender>> = {
    speed: { speed: 200 },
    slots: { state: { ...connected, slots: { total: 64, used: 0 } } },
    affinity: { prospect: { missing: 0.1, thereMs: undefined } },
    cost: { prospect: { missing: 1, thereMs: 100 } },
  };
  const plain: Partial<Contender> = {
    speed: 100,
    state: { ...connected, slots: { total: 8, used: 1 } },
    prospect: { missing: 1, thereMs: 900 },
  };
  for (const [term, more] of Object.entries(better) as [keyof Wish['weights'], object][]) {
    const workers = [contender('plain', plain), contender('better', { ...plain, ...more })];
    const selection = select(workers, { ...wish, weights: only(term), hereMs: 1000 });
    expect(selection, term).toMatchObject({ worker: 'better' });
  }
});

test('a worker that has not told of a tool is not taken on trust', () => {
  const selection = select([contender('a', { probed: new Set() })], wish);
  expect(selection).toMatchObject({ kind: 'none' });
  expect(selection.table[0]?.refusal).toBe('it has not told which make it has');
});

test('a worker with all slots taken is worth waiting for', () => {
  const full = contender('a', { ownSlots: 8 });
  expect(select([full], wish)).toMatchObject({ kind: 'none', busy: true });
});

test('a worker on its first connection is worth waiting for, one that failed is not', () => {
  const first = { kind: 'connecting', since: 0, attempt: 1, reason: '' } as const;
  const again = { kind: 'connecting', since: 0, attempt: 2, reason: 'refused' } as const;
  expect(select([contender('a', { state: first })], wish)).toMatchObject({ pending: true });
  expect(select([contender('a', { state: again })], wish)).toMatchObject({ pending: false });
});

test('a job gets what it wishes, less on a busy worker, but never less than half', () => {
  expect(grantedSlots(4, 8, 0)).toBe(4);
  expect(grantedSlots(16, 8, 0)).toBe(8);
  expect(grantedSlots(8, 8, 4)).toBe(4);
  expect(grantedSlots(8, 8, 5)).toBe(0);
  expect(grantedSlots(1, 1, 0)).toBe(1);
  expect(grantedSlots(1, 1, 1)).toBe(0);
  expect(grantedSlots(4, 8, 12)).toBe(0);
});
