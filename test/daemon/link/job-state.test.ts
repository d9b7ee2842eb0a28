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
    { type: 'started' },
    { type: 'returned' },
    { type: 'launcherGone' },
  ),
  fc.boolean().map((learn): JobEvent => ({ type: 'refused', reason: 'r', learn })),
  fc.constant<JobEvent>({ type: 'lost', reason: 'l' }),
  fc
    .integer({ min: 0, max: 255 })
    .map((code): JobEvent => ({ type: 'ended', end: { kind: 'exited', code } })),
);

function live(events: readonly JobEvent[]): { states: JobState[]; effects: JobEffect[] } {
  let state: JobState = { at: 'planned' };
  const states: JobState[] = [state];
  const effects: JobEffect[] = [];
  for (const each of events) {
    const next = transition(state, each);
    state = next.state;
    states.push(state);
    effects.push(...next.effects);
  }
  return { states, effects };
}

describe('the life of a job', () => {
  it('goes from commit to its end in order', () => {
    const { effects, states } = live([
      { type: 'commit' },
      { type: 'prepared' },
      { type: 'started' },
      { type: 'ended', end: { kind: 'exited', code: 3 } },
      { type: 'returned' },
    ]);
    expect(effects).toEqual(['prepare', 'run', 'sayStarted', 'return', 'sayEnd', 'report']);
    expect(states.at(-1)).toEqual({ at: 'over', outcome: { kind: 'exited', code: 3 } });
  });

  it('never says local after the tool may have run, and says one end at most', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const { effects } = live(events);
        const ends = effects.filter((e) => e === 'sayEnd' || e === 'sayLocal' || e === 'sayLost');
        expect(ends.length).toBeLessThanOrEqual(1);
        if (effects.includes('sayStarted')) expect(effects).not.toContain('sayLocal');
        expect(effects.filter((e) => e === 'report').length).toBeLessThanOrEqual(1);
        expect(effects.filter((e) => e === 'run').length).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('has a way out of every state when the launcher goes, and ends the tool there', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const { states, effects } = live([...events, { type: 'launcherGone' }]);
        const last = states.at(-1);
        expect(last?.at).toBe('over');
        if (effects.includes('run') && last?.at === 'over' && last.outcome.kind === 'abandoned')
          expect(effects).toContain('killThere');
      }),
    );
  });
});
