import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  transition,
  type JobEffect,
  type JobEvent,
  type JobState,
} from '../../../daemon/link/job-state.ts';

const event: fc.Arbitrary<JobEvent> = fc.oneof(
  fc.constantFrom<JobEvent>(
    { type: 'commit' },
    { type: 'prepared' },
    { type: 'bound' },
    { type: 'started' },
    { type: 'returned' },
    { type: 'launcherGone' },
    { type: 'cancelled' },
  ),
  fc.boolean().map((started): JobEvent => ({ type: 'resumed', started })),
  fc.boolean().map((learn): JobEvent => ({
    type: 'refused',
    reason: 'r',
    learn,
    again: !learn,
    fault: !learn,
  })),
  fc.boolean().map((kept): JobEvent => ({ type: 'returnFailed', reason: 'f', kept })),
  fc.constant<JobEvent>({ type: 'lost', reason: 'l' }),
  fc
    .integer({ min: 0, max: 255 })
    .map((code): JobEvent => ({ type: 'ended', end: { kind: 'exited', code } })),
);
const events = fc.array(event, { maxLength: 40 });
const begin = fc.constantFrom<JobState>({ at: 'planned' }, { at: 'recovering' });

type Life = { states: JobState[]; effects: JobEffect[] };

function live(from: JobState, told: readonly JobEvent[]): Life {
  let state = from;
  const states: JobState[] = [state];
  const effects: JobEffect[] = [];
  for (const each of told) {
    const next = transition(state, each);
    state = next.state;
    states.push(state);
    effects.push(...next.effects);
  }
  return { states, effects };
}

const count = (effects: readonly JobEffect[], effect: JobEffect): number =>
  effects.filter((each) => each === effect).length;

describe('the life of a job', () => {
  it('is cancelled wherever it is, but for what is being placed, and its launcher hears an end', () => {
    const whole: JobEvent[] = [
      { type: 'commit' },
      { type: 'prepared' },
      { type: 'bound' },
      { type: 'started' },
      { type: 'ended', end: { kind: 'exited', code: 0 } },
    ];
    const after = (events: number): Life =>
      live({ at: 'planned' }, [...whole.slice(0, events), { type: 'cancelled' }]);
    const told = (events: number): JobEffect[] => {
      const { effects } = after(events);
      return effects.slice(effects.indexOf('report'));
    };
    expect(after(0).states.at(-1)).toEqual({ at: 'planned' });
    expect(told(1)).toEqual(['report', 'sayStarted', 'sayEnd']);
    expect(told(2)).toEqual(['report', 'sayStarted', 'sayEnd']);
    expect(told(3)).toEqual(['report', 'killThere', 'sayStarted', 'sayEnd']);
    expect(told(4)).toEqual(['report', 'killThere', 'sayEnd']);
    expect(after(5).states.at(-1)).toMatchObject({ at: 'returning' });
    // Nor is a worker waited for then that is away.
    expect(after(5).effects.at(-1)).toBe('hurry');
    // One whose launcher was away hears of it when it is back.
    const away: JobEvent[] = [{ type: 'cancelled' }, { type: 'resumed', started: true }];
    expect(live({ at: 'recovering' }, away).effects).toEqual(['report', 'killThere', 'sayEnd']);
  });

  it('goes from commit to its end in order, and is recorded before its launcher hears', () => {
    const { effects, states } = live({ at: 'planned' }, [
      { type: 'commit' },
      { type: 'prepared' },
      { type: 'bound' },
      { type: 'started' },
      { type: 'ended', end: { kind: 'exited', code: 3 } },
      { type: 'returned' },
    ]);
    const order = ['prepare', 'announce', 'run', 'sayStarted', 'return', 'report', 'sayEnd'];
    expect(effects).toEqual(order);
    expect(states.at(-1)).toEqual({ at: 'over', outcome: { kind: 'exited', code: 3 } });
  });

  it('goes on in another link from whatever its launcher saw', () => {
    const rest: JobEvent[] = [
      { type: 'started' },
      { type: 'ended', end: { kind: 'exited', code: 3 } },
      { type: 'returned' },
    ];
    const seen = live({ at: 'recovering' }, [{ type: 'resumed', started: true }, ...rest]);
    expect(seen.effects).toEqual(['attach', 'return', 'report', 'sayEnd']);
    const unseen = live({ at: 'recovering' }, [{ type: 'resumed', started: false }, ...rest]);
    expect(unseen.effects).toEqual(['attach', 'sayStarted', 'return', 'report', 'sayEnd']);
    for (const { states } of [seen, unseen])
      expect(states.at(-1)).toEqual({ at: 'over', outcome: { kind: 'exited', code: 3 } });
  });

  it('runs here after a recovery only where the launcher saw no start and the agent never did', () => {
    const never: JobEvent = {
      type: 'refused',
      reason: 'never seen',
      learn: false,
      again: true,
      fault: true,
    };
    const unseen = live({ at: 'recovering' }, [{ type: 'resumed', started: false }, never]);
    expect(unseen.effects).toEqual(['attach', 'report', 'sayLocal']);
    const seen = live({ at: 'recovering' }, [{ type: 'resumed', started: true }, never]);
    expect(seen.effects).toEqual(['attach', 'report', 'killThere', 'sayLost']);
    expect(live({ at: 'recovering' }, [never]).effects).not.toContain('sayLocal');
  });

  it('says again that nothing began, to a launcher that saw no start and lost the word of it', () => {
    const refused: JobState = {
      at: 'over',
      outcome: { kind: 'local', reason: 'never seen', learn: false, again: true, fault: true },
    };
    expect(live(refused, [{ type: 'resumed', started: false }]).effects).toEqual(['sayLocal']);
    expect(live(refused, [{ type: 'resumed', started: true }]).effects).toEqual(['sayLost']);
  });

  it('never says local after the tool may have run, and is never both here and there', () => {
    fc.assert(
      fc.property(begin, events, (from, told) => {
        const { effects } = live(from, told);
        if (effects.includes('sayStarted')) expect(effects).not.toContain('sayLocal');
        if (effects.includes('return')) expect(effects).not.toContain('sayLocal');
        if (effects.includes('sayEnd')) expect(effects).not.toContain('sayLocal');
        // Once, and to each launcher that lost the word of it.
        const asked = told.filter((event) => event.type === 'resumed' && !event.started).length;
        expect(count(effects, 'sayLocal')).toBeLessThanOrEqual(1 + asked);
        expect(count(effects, 'run')).toBeLessThanOrEqual(1);
        expect(count(effects, 'return')).toBeLessThanOrEqual(1);
        // A recovered job was ordered before; nobody orders it again.
        if (from.at === 'recovering') expect(effects).not.toContain('run');
        if (effects.includes('run'))
          expect(effects.indexOf('announce')).toBe(effects.indexOf('run') - 1);
      }),
    );
  });

  it('records one end, and tells it again only to a launcher that asks again', () => {
    fc.assert(
      fc.property(begin, events, (from, told) => {
        const { effects, states } = live(from, told);
        expect(count(effects, 'report')).toBe(states.at(-1)?.at === 'over' ? 1 : 0);
        const over = states.findIndex(({ at }) => at === 'over');
        if (over < 0) return;
        const outcome = states[over];
        for (const state of states.slice(over)) expect(state).toEqual(outcome);
        if (told.slice(over).every(({ type }) => type !== 'resumed' && type !== 'ended')) {
          const said = count(effects, 'sayEnd') + count(effects, 'sayLocal');
          expect(said).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('loses no exit: whoever asks again after the end is told it', () => {
    fc.assert(
      fc.property(begin, events, fc.boolean(), (from, told, started) => {
        const { states } = live(from, told);
        const last = states.at(-1);
        if (last?.at !== 'over') return;
        const again = live(last, [
          { type: 'resumed', started },
          { type: 'ended', end: { kind: 'exited', code: 0 } },
        ]);
        const { kind } = last.outcome;
        const end = started ? ['sayEnd'] : ['sayStarted', 'sayEnd'];
        if (kind === 'cancelled') expect(again.effects).toEqual(end);
        else if (kind === 'local' && !started) expect(again.effects).toEqual(['sayLocal']);
        else expect(again.effects).toEqual(kind === 'exited' ? ['attach', 'sayEnd'] : ['sayLost']);
      }),
    );
  });

  it('has a way out of every state when the launcher goes, and ends the tool there', () => {
    fc.assert(
      fc.property(begin, events, (from, told) => {
        const { states, effects } = live(from, [...told, { type: 'launcherGone' }]);
        const last = states.at(-1);
        expect(last?.at).toBe('over');
        const mayRun = effects.includes('run') || from.at === 'recovering';
        if (mayRun && last?.at === 'over' && last.outcome.kind === 'abandoned')
          expect(effects).toContain('killThere');
      }),
    );
  });

  it('keeps results only of a tool that has ended', () => {
    fc.assert(
      fc.property(begin, events, (from, told) => {
        const { states, effects } = live(from, told);
        const last = states.at(-1);
        if (last?.at !== 'over' || last.outcome.kind !== 'lost' || !last.outcome.kept) return;
        expect(effects).toContain('return');
        expect(effects).not.toContain('killThere');
      }),
    );
  });
});
