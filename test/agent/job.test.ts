import { expect, test } from 'vitest';
import { type JobEvent, type JobState, type ToolEnd, transition } from '../../src/agent/job.ts';

const end: ToolEnd = { kind: 0, value: 0, till: 9n, userTime: 1n, systemTime: 1n, maxRss: 1n };

function after(...events: JobEvent[]): JobState {
  let state: JobState = { at: 'waiting' };
  for (const event of events) state = transition(state, event);
  return state;
}
const admitted: JobEvent = { type: 'admitted' };
const started: JobEvent = { type: 'started', from: 5n };
const exited: JobEvent = { type: 'exited', end };
const lost: JobEvent = { type: 'exited', end: undefined };
const collected: JobEvent = { type: 'collected' };
const finished: JobEvent = { type: 'finished' };
const failed: JobEvent = { type: 'failed' };
const kill: JobEvent = { type: 'kill' };

test('a job that goes well is settled', () => {
  expect(after(admitted, started)).toEqual({ at: 'running', from: 5n });
  expect(after(admitted, started, exited)).toEqual({ at: 'collecting', from: 5n, end });
  // The process goes after it told its end.
  expect(after(admitted, started, exited, lost)).toEqual({ at: 'collecting', from: 5n, end });
  expect(after(admitted, started, exited, collected).at).toBe('ended');
  expect(after(admitted, started, exited, collected, finished)).toEqual({
    at: 'over',
    outcome: 'settled',
  });
});

test('a job that never ran leaves its trees untouched', () => {
  expect(after(failed)).toEqual({ at: 'over', outcome: 'untouched' });
  expect(after(kill)).toEqual({ at: 'over', outcome: 'untouched' });
  expect(after(admitted, failed)).toEqual({ at: 'over', outcome: 'untouched' });
});

test('a job that was killed waits for the end of its processes or its scan, and is dropped', () => {
  for (const events of [[admitted], [admitted, started]]) {
    expect(after(...events, kill)).toEqual({ at: 'ending' });
    expect(after(...events, kill, lost)).toEqual({ at: 'over', outcome: 'dropped' });
    expect(after(...events, kill, exited)).toEqual({ at: 'over', outcome: 'dropped' });
  }
  expect(after(admitted, started, exited, kill)).toEqual({ at: 'ending' });
  expect(after(admitted, started, exited, kill, collected)).toEqual({
    at: 'over',
    outcome: 'dropped',
  });
  expect(after(admitted, started, exited, collected, kill)).toEqual({
    at: 'over',
    outcome: 'dropped',
  });
});

test('a job whose supervisor was lost while it ran is dropped', () => {
  expect(after(admitted, started, lost)).toEqual({ at: 'over', outcome: 'dropped' });
});

test('nothing leads out of the end, and nothing is skipped', () => {
  const all: JobEvent[] = [admitted, started, exited, collected, finished, failed, kill];
  const over: JobState = { at: 'over', outcome: 'settled' };
  for (const event of all) expect(transition(over, event)).toEqual(over);
  expect(after(started)).toEqual({ at: 'waiting' });
  expect(after(exited)).toEqual({ at: 'waiting' });
  expect(after(admitted, collected)).toEqual({ at: 'starting' });
  expect(after(admitted, started, finished).at).toBe('running');
});
