import { expect, test } from 'vitest';
import { closedBreaker } from '../../../daemon/lifecycle/breaker.ts';
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
} as const;

const contender = (id: string, more: Partial<Contender> = {}): Contender => ({
  id,
  priority: 100,
  state: connected,
  breaker: closedBreaker,
  ownSlots: 0,
  probed: new Set(['make']),
  affinity: false,
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
  blocked: [],
  now: 0,
};

test('the highest score wins: priority, then where the project is, then what is free', () => {
  const of = (...contenders: Contender[]) => select(contenders, wish);
  const busy = { ...connected, slots: { total: 8, used: 4 } };
  expect(of(contender('a'), contender('b', { priority: 200 }))).toMatchObject({ worker: 'b' });
  expect(of(contender('a'), contender('b', { affinity: true }))).toMatchObject({ worker: 'b' });
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
  expect(select(both, { ...wish, blocked: ['a'] })).toMatchObject({ worker: 'b' });
  expect(select(both, { ...wish, worker: 'z' })).toMatchObject({
    kind: 'none',
    reason: 'RCH_WORKER asks for z, which is no worker of ours',
  });
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
