import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AGE, inOrder, type QueueView, type Waiting } from '../../../daemon/lifecycle/queue.ts';

type Named = Waiting & { readonly name: string };

const waits = (name: string, more: Partial<Waiting> = {}): Named => ({
  ...{ name, caller: name[0] ?? '', priority: 'normal', since: 0, cores: 1 },
  ...more,
});
const order = (waiting: readonly Named[], more: Partial<QueueView<Named>> = {}): string[] =>
  inOrder({ waiting, held: new Map(), served: new Map(), now: 0, ...more }).map(({ name }) => name);

test('callers take turns, however many commands one of them has in line', () => {
  const waiting = ['a1', 'a2', 'a3', 'b1', 'b2', 'c1'].map((name, since) => waits(name, { since }));
  expect(order(waiting)).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
});

test('whoever holds the fewest cores comes first, then who was served longest ago', () => {
  const waiting = [waits('a1'), waits('b1'), waits('c1')];
  expect(order(waiting, { held: new Map([['a', 4]]) })).toEqual(['b1', 'c1', 'a1']);
  const served = new Map(Object.entries({ a: 30, b: 20 }));
  expect(order(waiting, { served })).toEqual(['c1', 'b1', 'a1']);
});

test('a wide command counts for its cores when its caller is weighed against others', () => {
  const waiting = [waits('a1', { cores: 4 }), waits('a2'), waits('b1', { since: 1 }), waits('b2')];
  expect(order(waiting)).toEqual(['a1', 'b2', 'b1', 'a2']);
});

test('a higher priority goes first, and waiting lifts a command by a class', () => {
  const waiting = [
    waits('a1', { priority: 'low' }),
    waits('b1'),
    waits('c1', { priority: 'high', since: AGE }),
  ];
  expect(order(waiting, { now: AGE - 1 })).toEqual(['c1', 'b1', 'a1']);
  expect(order(waiting, { now: AGE })).toEqual(['b1', 'c1', 'a1']);
  expect(order(waiting, { now: 2 * AGE })).toEqual(['b1', 'c1', 'a1']);
  expect(order(waiting, { now: 4 * AGE - 1 })[0]).toBe('b1');
});

const some = fc.array(
  fc.record({
    name: fc.uuid(),
    caller: fc.constantFrom('a', 'b', 'c', 'd'),
    priority: fc.constantFrom('low', 'normal', 'high'),
    since: fc.integer({ min: 0, max: 10 * AGE }),
    cores: fc.integer({ min: 1, max: 8 }),
  }),
  { maxLength: 40 },
);

test('everybody stands in line once', () => {
  fc.assert(
    fc.property(some, fc.integer({ min: 0, max: 20 * AGE }), (waiting, now) => {
      const names = order(waiting, { now });
      expect(names.toSorted()).toEqual(waiting.map(({ name }) => name).toSorted());
    }),
  );
});

test('of equal commands no caller is ahead of another by more than one', () => {
  const equal = some.map((all) =>
    all.map((each) => ({ ...each, priority: 'normal', cores: 1 }) as const),
  );
  fc.assert(
    fc.property(equal, (waiting) => {
      const now = 0;
      const line = inOrder({ waiting, held: new Map(), served: new Map(), now });
      const left = new Map<string, number>();
      for (const { caller } of line) left.set(caller, (left.get(caller) ?? 0) + 1);
      const got = new Map<string, number>();
      for (const { caller } of line) {
        const mine = (got.get(caller) ?? 0) + 1;
        got.set(caller, mine);
        left.set(caller, (left.get(caller) ?? 0) - 1);
        for (const [other, more] of left)
          if (more > 0) expect(mine - (got.get(other) ?? 0)).toBeLessThanOrEqual(1);
      }
    }),
  );
});

test('nobody waits behind newcomers for ever: in the end the oldest is first', () => {
  fc.assert(
    fc.property(some, (waiting) => {
      const oldest = waits('oldest', { priority: 'low', since: 0 });
      const young = waiting.map((each) => ({ ...each, since: 60 * AGE + each.since }));
      expect(order([...young, oldest], { now: 70 * AGE })[0]).toBe('oldest');
    }),
  );
});
