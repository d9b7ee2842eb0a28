import { expect, test } from 'vitest';
import { closedBreaker } from '../../../daemon/lifecycle/breaker.ts';
import {
  graveTrouble,
  healthOf,
  healthWeight,
  mandates,
  type Health,
  type HealthView,
} from '../../../daemon/lifecycle/health.ts';
import {
  transition,
  type WorkerEvent,
  type WorkerState,
} from '../../../daemon/lifecycle/worker.ts';
import { agentFactsLikeHere } from '../front/rig.ts';

const facts = { ...(await agentFactsLikeHere([])), cores: 8, diskFree: 1e12 };
const there: WorkerEvent = { type: 'connected', facts, clockOffset: 0n, roundTrip: 1 };
const all: readonly WorkerEvent[] = [
  { type: 'forked' },
  { type: 'listening' },
  { type: 'connecting', attempt: 2 },
  there,
  { type: 'disconnected', reason: 'no route', next: 'ping it' },
  { type: 'died', reason: 'exit 3' },
  { type: 'drain', reason: 'its configuration changed' },
  { type: 'disable' },
];

function stateAfter(...events: readonly WorkerEvent[]): WorkerState {
  return events.reduce<WorkerState>((state, event, at) => transition(state, event, at), {
    kind: 'disabled',
    since: 0,
  });
}

function health(events: readonly WorkerEvent[], more: Partial<HealthView> = {}): Health {
  const view = { id: 'css', mandate: 'enabled', breaker: closedBreaker, lacking: [] } as const;
  return healthOf({ ...view, state: stateAfter(...events), now: 10, ...more });
}

test('a worker is healthy when it answers, its user wants it, and nothing is wrong', () => {
  expect(health([there])).toEqual({ kind: 'disabled', reason: 'enabled = false', next: '' });
  expect(health([{ type: 'forked' }, there])).toEqual({ kind: 'healthy' });
  expect(health([{ type: 'forked' }])).toMatchObject({ kind: 'unreachable' });
  expect(health([{ type: 'forked' }, there, all[4] ?? there])).toEqual({
    kind: 'unreachable',
    reason: 'no route',
    next: 'ping it',
  });
});

test('from whatever it is in, it becomes healthy again, and no state hides what the user wants', () => {
  const states = all.flatMap((one) =>
    all.map((other) => [{ type: 'forked' } as const, one, other]),
  );
  for (const events of states) {
    // A link that ended is forked anew.
    expect(health([...events, { type: 'forked' }, there])).toEqual({ kind: 'healthy' });
    for (const mandate of mandates) {
      const { kind } = health(events, { mandate });
      if (mandate !== 'enabled') expect(['draining', 'disabled']).toContain(kind);
    }
  }
});

test('a drained worker that answers is told from one that does not, by the way back alone', () => {
  expect(health([{ type: 'forked' }, there], { mandate: 'draining' })).toEqual({
    kind: 'draining',
    reason: 'rch workers drain',
    next: 'rch workers enable css',
  });
  expect(health([{ type: 'forked' }, there], { mandate: 'disabled' }).kind).toBe('draining');
  expect(health([], { mandate: 'disabled' }).kind).toBe('disabled');
});

const up: readonly WorkerEvent[] = [{ type: 'forked' }, there];
const slots = { total: 8, used: 0, own: 0 };

test.each([
  ['silent', [{ type: 'silent', ms: 20_000 }], 0, /not answered for 20 s/],
  ['disk', [{ type: 'slots', slots, freeBytes: 50e6 }], 0, /only 50 MB are free/],
  ['disk', [{ type: 'slots', slots, freeBytes: 500e6 }], 0.5, /only 500 MB are free/],
  ['clock', [{ type: 'clock', offset: 5n, step: -3_600_000_000_000n }], 0, /set by -3600\.0 s/],
  ['load', [{ type: 'vitals', load: 6.5 }], 0.5, /others keep 6\.5 of its 8 cores busy/],
] as const)('%s is a degradation with a reason and a weight', (kind, events, weight, reason) => {
  const found = health([...up, ...events] as readonly WorkerEvent[]);
  expect(found).toMatchObject({ kind: 'degraded', troubles: [{ kind, weight }] });
  expect(healthWeight(found)).toBe(weight);
  if (found.kind === 'degraded') expect(found.troubles[0].reason).toMatch(reason);
  expect(graveTrouble(found)?.kind).toBe(weight === 0 ? kind : undefined);
});

test('what passes is a trouble no longer', () => {
  const clock: WorkerEvent = { type: 'clock', offset: 5n, step: 9_000_000_000n };
  expect(graveTrouble(health([...up, clock], { now: 20_000 }))?.kind).toBe('clock');
  expect(health([...up, clock], { now: 40_000 })).toMatchObject({ kind: 'degraded' });
  expect(graveTrouble(health([...up, clock], { now: 40_000 }))).toBeUndefined();
  expect(health([...up, clock], { now: 700_000 })).toEqual({ kind: 'healthy' });
  const silent: readonly WorkerEvent[] = [...up, { type: 'silent', ms: 9000 }];
  expect(health([...silent, { type: 'silent', ms: 0 }])).toEqual({ kind: 'healthy' });
});

test('a clock that is behind by more than a command waits for takes it out of use, until it no longer is', () => {
  const behind = { ...there, clockOffset: -3_600_000_000_000n };
  const events: readonly WorkerEvent[] = [{ type: 'forked' }, behind];
  const grave = graveTrouble(health(events, { now: 700_000 }));
  expect(grave?.kind).toBe('clock');
  expect(grave?.reason).toMatch(/3600\.0 s behind/);
  expect(grave?.next).toContain('set its clock');
  const little = { ...there, clockOffset: -1_900_000_000n };
  expect(health([{ type: 'forked' }, little])).toEqual({ kind: 'healthy' });
  // Brought in slowly by a time service: nothing was set.
  const slowly: WorkerEvent = { type: 'clock', offset: -1_900_000_000n, step: 0n };
  expect(health([...events, slowly])).toEqual({ kind: 'healthy' });
});

test('a clock far ahead of ours, a missing tool and real folders for a sandbox are told, and change nothing', () => {
  const sandbox = { method: 'folder', mend: 'install bubblewrap' } as const;
  const bare = health([{ type: 'forked' }, { ...there, facts: { ...there.facts, sandbox } }]);
  expect(bare).toMatchObject({ kind: 'degraded', troubles: [{ next: 'rch workers setup css' }] });
  expect(healthWeight(bare)).toBe(1);
  const far = { ...there, clockOffset: 120_000_000_000n };
  for (const found of [health([{ type: 'forked' }, far]), health(up, { lacking: ['cmake'] })]) {
    expect(found.kind).toBe('degraded');
    expect(healthWeight(found)).toBe(1);
  }
});
