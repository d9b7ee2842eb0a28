import { expect, test } from 'vitest';
import {
  transition,
  type WorkerEvent,
  type WorkerState,
} from '../../../daemon/lifecycle/worker.ts';
import { agentFactsLikeHere } from '../front/rig.ts';

const facts = await agentFactsLikeHere([]);
const connectedEvent: WorkerEvent = {
  type: 'connected',
  facts,
  clockOffset: -5n,
  roundTrip: 1,
};

function after(...events: WorkerEvent[]): WorkerState {
  return events.reduce<WorkerState>((state, event, at) => transition(state, event, at + 1), {
    kind: 'disabled',
    since: 0,
  });
}

test('a worker goes from its fork over its first connection to connected', () => {
  expect(after({ type: 'forked' })).toEqual({ kind: 'starting', since: 1 });
  expect(after({ type: 'forked' }, { type: 'listening' })).toEqual({
    kind: 'connecting',
    since: 2,
    attempt: 1,
    reason: '',
  });
  expect(after({ type: 'forked' }, { type: 'listening' }, connectedEvent)).toMatchObject({
    kind: 'connected',
    since: 3,
    factsAt: 3,
    slots: { total: 8, used: 0, own: 0 },
    clockOffset: -5n,
  });
});

test('while it connects again, the reason of the failure is kept', () => {
  const state = after(
    { type: 'forked' },
    { type: 'disconnected', reason: 'no route', next: 'look at the cable' },
    { type: 'connecting', attempt: 2 },
  );
  expect(state).toEqual({ kind: 'connecting', since: 3, attempt: 2, reason: 'no route' });
});

test('slots and facts change a connected worker alone', () => {
  const slots: WorkerEvent = { type: 'slots', slots: { total: 4, used: 3, own: 1 }, freeBytes: 7 };
  expect(after({ type: 'forked' }, slots)).toEqual({ kind: 'starting', since: 1 });
  expect(after({ type: 'forked' }, connectedEvent, slots)).toMatchObject({
    since: 2,
    slots: { total: 4, used: 3, own: 1 },
    freeBytes: 7,
  });
  const probed: WorkerEvent = { type: 'probed', facts: { ...facts, libc: 'musl 1.2' } };
  expect(after({ type: 'forked' }, connectedEvent, probed)).toMatchObject({
    since: 2,
    factsAt: 3,
    facts: { libc: 'musl 1.2' },
  });
});

test('a draining or disabled worker does not come back by what its link says', () => {
  const drain: WorkerEvent = { type: 'drain', reason: 'rch is stopping' };
  const draining = { kind: 'draining', since: 2, reason: 'rch is stopping' };
  expect(after({ type: 'forked' }, drain, connectedEvent)).toEqual(draining);
  expect(after(connectedEvent)).toEqual({ kind: 'disabled', since: 0 });
  expect(after({ type: 'forked' }, drain, { type: 'disable' })).toMatchObject({ kind: 'disabled' });
});

test('a link that died leaves its worker unreachable with the cause', () => {
  const state = after({ type: 'forked' }, connectedEvent, { type: 'died', reason: 'exit 3' });
  expect(state).toEqual({ kind: 'unreachable', since: 3, reason: 'exit 3', next: '', lost: 3 });
});

test('when a connection was lost is known until there is another', () => {
  const gone: WorkerEvent = { type: 'disconnected', reason: 'cut', next: '' };
  const again: WorkerEvent = { type: 'connecting', attempt: 2 };
  expect(after({ type: 'forked' }, connectedEvent, gone, again, gone)).toMatchObject({ lost: 3 });
  const [back, never] = [
    after({ type: 'forked' }, connectedEvent, gone, connectedEvent),
    after({ type: 'forked' }, { type: 'listening' }, gone, again),
  ];
  expect(back).not.toHaveProperty('lost');
  expect(never).toMatchObject({ kind: 'connecting', lost: undefined });
});

test('an upload is known as long as its worker connects', () => {
  const upload = { part: 'node', bytes: 5, total: 9, rate: 1 } as const;
  const connecting: WorkerEvent = { type: 'connecting', attempt: 1 };
  const uploading: WorkerEvent = { type: 'uploading', upload };
  const listening: WorkerEvent = { type: 'listening' };
  const state = after({ type: 'forked' }, listening, uploading);
  expect(state).toMatchObject({ kind: 'connecting', since: 2, upload });
  expect(after({ type: 'forked' }, listening, uploading, connecting)).not.toHaveProperty('upload');
  expect(after({ type: 'forked' }, connectedEvent, uploading)).not.toHaveProperty('upload');
});
