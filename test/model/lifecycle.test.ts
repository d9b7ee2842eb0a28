/** The life of a job, all of it: every order of what link, agent, launcher, network and faults may do. */
import { beforeAll, describe, expect, it } from 'vitest';
import { steps } from './steps.ts';
import { isOver, start, type Step, type System } from './system.ts';

type Node = {
  readonly system: System;
  readonly next: readonly (Step & { readonly key: string })[];
};

const keyOf = (system: System): string =>
  JSON.stringify(system, (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );

const nodes = new Map<string, Node>();
/** How each state was reached first, for the message of a failure. */
const before = new Map<string, { readonly key: string; readonly name: string }>();

function way(key: string): string {
  const names: string[] = [];
  for (let at = before.get(key); at !== undefined; at = before.get(at.key)) names.unshift(at.name);
  return `${names.join(' → ')}\n${key}`;
}

function explore(): void {
  const queue: System[] = [start, { ...start, twin: true }];
  const known = new Set(queue.map(keyOf));
  for (let system = queue.pop(); system !== undefined; system = queue.pop()) {
    const key = keyOf(system);
    const next = steps(system).map((step) => ({ ...step, key: keyOf(step.to) }));
    nodes.set(key, { system, next });
    for (const step of next) {
      if (known.has(step.key)) continue;
      known.add(step.key);
      before.set(step.key, { key, name: step.name });
      queue.push(step.to);
    }
  }
}

/** The states from which one that is `wished` can be reached by steps of these kinds. */
function leadingTo(
  wished: (system: System) => boolean,
  kinds: readonly Step['kind'][],
): Set<string> {
  const backwards = new Map<string, string[]>();
  for (const [key, { next }] of nodes)
    for (const step of next) {
      if (!kinds.includes(step.kind)) continue;
      const from = backwards.get(step.key) ?? [];
      backwards.set(step.key, from);
      from.push(key);
    }
  const found = new Set<string>();
  const queue = [...nodes].filter(([, { system }]) => wished(system)).map(([key]) => key);
  for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
    if (found.has(key)) continue;
    found.add(key);
    queue.push(...(backwards.get(key) ?? []));
  }
  return found;
}

function never(what: string, wrong: (system: System) => boolean): void {
  for (const [key, { system }] of nodes) if (wrong(system)) throw new Error(`${what}: ${way(key)}`);
}

describe('a job among faults', () => {
  beforeAll(() => {
    explore();
  });

  it('has so many states that the exploration means something', () => {
    expect(nodes.size).toBeGreaterThan(5000);
    const ends = new Set([...nodes.values()].map(({ system }) => system.launcher));
    for (const end of ['exit', 'interrupted', 'lost', 'local', 'again', 'dead'] as const)
      expect(ends, end).toContain(end);
  });

  it('runs once at the most, and never both here and there', () => {
    never('it ran twice', ({ ran, here }) => ran + here > 1);
    // One that had gone on by itself, here, was served in vain.
    never('it ran although another run served it', ({ served, ran, here, launcher }) => {
      return served && (ran > 0 || (here > 0 && launcher !== 'local'));
    });
    never('it goes elsewhere after it ran', ({ launcher, ran }) => launcher === 'again' && ran > 0);
  });

  it('ends well only with the tool ended and its results in place', () => {
    never(
      'an end that was none',
      ({ launcher, ended, placed }) => launcher === 'exit' && !(ended && placed),
    );
  });

  it('has a way out of every state without any further fault: all end, and no process is left', () => {
    const good = leadingTo(isOver, ['work', 'late']);
    for (const key of nodes.keys()) if (!good.has(key)) throw new Error(`no way out: ${way(key)}`);
  });

  it('loses no exit while everybody who is needed lives: without a deadline passing, it can still arrive', () => {
    const arrives = leadingTo(({ launcher }) => launcher === 'exit', ['work']);
    for (const [key, { system }] of nodes) {
      const { launcher, agent, link } = system;
      const told = typeof link === 'object' && link.at === 'over' && link.outcome.kind !== 'exited';
      const goesOn =
        typeof agent === 'object' && ['running', 'collecting', 'ended'].includes(agent.at);
      const asked =
        system.toAgent.includes('kill') ||
        link === 'closed' ||
        system.file === 'done' ||
        system.file === 'kept';
      const waits = launcher === 'announced' || launcher === 'running';
      const refused = system.toLauncher.some(
        (each) => each !== 'starting' && each !== 'started' && each !== 'exit',
      );
      if (waits && goesOn && !told && !asked && !refused && !arrives.has(key))
        throw new Error(`an exit is lost: ${way(key)}`);
    }
  });
});
