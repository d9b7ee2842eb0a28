import fc from 'fast-check';
import { expect, test } from 'vitest';
import { grantedSlots, select, type Contender, type Wish } from '../../../daemon/select/select.ts';
import { agentFactsLikeHere } from '../front/rig.ts';

const facts = await agentFactsLikeHere(['make']);
const connected = {
  kind: 'connected',
  since: 0,
  facts,
  factsAt: 0,
  slots: { total: 8, used: 0, own: 0 },
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
  taken: new Set(),
  returnMs: 0,
  worker: undefined,
  workers: undefined,
  tried: new Map(),
  allowed: undefined,
  project: { allowed: undefined, blocked: [], preferred: undefined, minSpeed: undefined },
  weights: { speed: 0.35, slots: 0.25, affinity: 0.25, cost: 0.15 },
  hereMs: undefined,
  network: true,
  outputsKnown: true,
};

test('the highest score wins: priority, then where the project is, then what is free', () => {
  const of = (...contenders: Contender[]) => select(contenders, wish);
  const busy = { ...connected, slots: { total: 8, used: 4, own: 0 } };
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
  expect(selection.reason).toMatch(
    /^no worker can take it: other: the worker is aarch64.* \(nor the other\)$/,
  );
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
  expect(select(both, { ...wish, workers: ['y', 'z'] })).toMatchObject({
    kind: 'none',
    reason: 'RCH_WORKERS asks for y, z, none of which is a worker of ours',
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

test('a command that may do anything does not go where nothing is kept from it', () => {
  const folder = {
    ...connected,
    facts: { ...facts, sandbox: { method: 'folder', mend: 'install bubblewrap' } as const },
  };
  const anything = { ...wish, outputsKnown: false };
  expect(select([contender('a', { state: folder }), contender('b')], anything)).toMatchObject({
    worker: 'b',
  });
  expect(select([contender('a', { state: folder })], anything)).toMatchObject({
    kind: 'none',
    reason:
      'no worker can take it: a: without namespaces and bubblewrap it can only take compiler calls whose outputs are known',
    next: 'install bubblewrap',
  });
});

test('a worker that runs the same command already needs no free slot for it', () => {
  const full = { ...connected, slots: { total: 8, used: 8, own: 0 } };
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

test('a worker that the user leaves out is refused by the name of whose list it is', () => {
  expect(select([contender('a')], { ...wish, allowed: ['typo'] })).toMatchObject({
    kind: 'none',
    table: [{ refusal: 'your own configuration (workers.allowed) allows only typo' }],
  });
  expect(select([contender('a')], { ...wish, allowed: ['a'] })).toMatchObject({ worker: 'a' });
});

test('each term of the score can decide, by its weight', () => {
  const only = (term: keyof Wish['weights']): Wish['weights'] => ({
    ...{ speed: 0, slots: 0, affinity: 0, cost: 0 },
    [term]: 1,
  });
  const better: Record<keyof Wish['weights'], Partial<Contender>> = {
    speed: { speed: 200 },
    slots: { state: { ...connected, slots: { total: 64, used: 0, own: 0 } } },
    affinity: { prospect: { missing: 0.1, thereMs: undefined } },
    cost: { prospect: { missing: 1, thereMs: 100 } },
  };
  const plain: Partial<Contender> = {
    speed: 100,
    state: { ...connected, slots: { total: 8, used: 1, own: 0 } },
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

test('what others hold there and what we sent there is counted once', () => {
  const slots = (used: number, own: number) => ({ ...connected, slots: { total: 8, used, own } });
  const free = (more: Partial<Contender>) =>
    select([contender('a', more)], { ...wish, slots: 1 }).table[0]?.slots?.free;
  // Two of ours are counted there, and three of another workstation.
  expect(free({ state: slots(5, 2), ownSlots: 2 })).toBe(3);
  // Two more are on their way there.
  expect(free({ state: slots(5, 2), ownSlots: 4 })).toBe(1);
  // The agent still holds what has ended for us.
  expect(free({ state: slots(5, 2), ownSlots: 0 })).toBe(3);
});

test('nobody overtakes those who wait for a worker before them', () => {
  const both = [contender('a'), contender('b', { priority: 50 })];
  const behind = { ...wish, taken: new Set(['a']) };
  expect(select(both, behind)).toMatchObject({ kind: 'chosen', worker: 'b' });
  expect(select(both, { ...behind, taken: new Set(['a', 'b']) })).toMatchObject({
    ...{ kind: 'none', busy: true, wants: ['a', 'b'] },
    table: [{ refusal: 'commands before this one in line wait for it' }, {}],
  });
});

test('the table says of each worker why it won or lost', () => {
  const busy = { ...connected, slots: { total: 8, used: 4, own: 4 } };
  const workers = [
    contender('near', { prospect: { missing: 0, thereMs: undefined } }),
    contender('far'),
    contender('weak', { priority: 40, prospect: { missing: 0, thereMs: undefined } }),
    contender('full', { state: busy, ownSlots: 8 }),
    contender('twin', { prospect: { missing: 0, thereMs: undefined } }),
  ];
  const of = (given: Wish) =>
    Object.fromEntries(
      select(workers, given).table.map(({ worker, outcome, refusal }) => [
        worker,
        outcome ?? refusal,
      ]),
    );
  expect(of(wish)).toEqual({
    near: 'chosen',
    far: 'holds less of the project (-25.0)',
    weak: 'priority 40 against 100',
    full: '8 of its 8 slots are taken',
    twin: 'no worse; near stands first',
  });
  expect(of({ ...wish, project: { ...wish.project, preferred: 'far' } })).toMatchObject({
    ...{ near: 'the project prefers far', far: 'chosen' },
  });
});

test('a score is what the table shows: weighted terms, in proportion to the priority', () => {
  const term = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(term, term, term, fc.integer({ min: 1, max: 300 }), (s, m, w, priority) => {
      const weights = { speed: w, slots: 0.25, affinity: 0.25, cost: 0 };
      const one = contender('a', { priority, prospect: { missing: m, thereMs: undefined } });
      const two = contender('b', { speed: s * 100, prospect: { missing: 1, thereMs: undefined } });
      for (const row of select([one, two], { ...wish, weights }).table) {
        const { terms } = row;
        if (terms === undefined) throw new Error('no terms');
        const sum = w * terms.speed + 0.25 * terms.slots + 0.25 * terms.affinity;
        expect(row.score).toBeCloseTo((sum / (w + 0.5)) * (row.priority ?? 0), 0);
      }
    }),
  );
});

test('selection compares the packages of each worker once, and not again while none has changed', () => {
  const names = Array.from({ length: 200 }, (_, at) => `package-${at}`);
  const packages = Object.fromEntries(names.map((name) => [name, '1.0']));
  const requirements = names.map((name) => ({
    ...({ kind: 'package', exact: 'version', why: 'it builds anything' } as const),
    name,
  }));
  let reads = 0;
  const counted = (more: Record<string, string> = {}): Record<string, string> =>
    new Proxy(
      { ...packages, ...more },
      {
        get: (target, name) => {
          reads++;
          return Reflect.get(target, name) as unknown;
        },
      },
    );
  const workerOf = (id: string, theirs: Record<string, string>): Contender =>
    contender(id, { state: { ...connected, facts: { ...facts, packages: theirs } } });
  const match = { requirements, local: { ...facts, packages } };
  const workers = Array.from({ length: 64 }, (_, at) => workerOf(`w${at}`, counted()));
  expect(select(workers, { ...wish, match }).kind).toBe('chosen');
  expect(reads).toBe(64 * 2 * names.length);
  expect(select(workers, { ...wish, match }).kind).toBe('chosen');
  expect(reads).toBe(64 * 2 * names.length);

  const upgraded = workerOf('w0', counted({ 'package-7': '1.1', unneeded: '2' }));
  const one = select([upgraded], { ...wish, match });
  expect(one.table[0]?.refusal).toContain('package package-7 is 1.1 there and 1.0 here');
  const elsewhere = {
    ...match,
    local: { ...match.local, packages: { ...packages, 'package-7': '1.1' } },
  };
  expect(select([upgraded], { ...wish, match: elsewhere }).kind).toBe('chosen');
});

test('a worker on its first connection is worth waiting for, one that failed is not', () => {
  const first = { kind: 'connecting', since: 0, attempt: 1, reason: '' } as const;
  const again = { kind: 'connecting', since: 0, attempt: 2, reason: 'refused' } as const;
  expect(select([contender('a', { state: first })], wish)).toMatchObject({ pending: true });
  expect(select([contender('a', { state: again })], wish)).toMatchObject({ pending: false });
});

test('a connection that was lost just now is waited for by whoever insists, for a while', () => {
  const state = { kind: 'unreachable', since: 0, reason: 'cut', next: '', lost: 0 } as const;
  const lost = (lostMs: number | undefined) => [contender('a', { state, lostMs })];
  const insisting = { ...wish, returnMs: 10_000 };
  expect(select(lost(20), insisting)).toMatchObject({ pending: false, returningMs: 9980 });
  expect(select(lost(20), wish)).toMatchObject({ returningMs: 0 });
  expect(select(lost(10_000), insisting)).toMatchObject({ returningMs: 0 });
  expect(select(lost(undefined), insisting)).toMatchObject({ returningMs: 0 });
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
