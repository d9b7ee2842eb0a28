import { describe, expect, it } from 'vitest';
import { RootLock } from '../../../daemon/sync/root-lock.ts';

const never = new AbortController().signal;

describe('the lock of a root', () => {
  it('lets readers in together and a writer alone, in the order they came', async () => {
    const lock = new RootLock();
    const order: string[] = [];
    const first = await lock.acquire(false, never);
    const second = await lock.acquire(false, never);
    const writer = lock.acquire(true, never).then((release) => {
      order.push('writer');
      return release;
    });
    const late = lock.acquire(false, never).then((release) => {
      order.push('late reader');
      return release;
    });
    expect(lock.busy).toBe(true);
    first.release();
    expect(order).toEqual([]);
    second.release();
    (await writer).release();
    (await late).release();
    expect(order).toEqual(['writer', 'late reader']);
    expect(lock.busy).toBe(false);
  });

  it('forgets a waiter that gives up, and lets those behind it in', async () => {
    const lock = new RootLock();
    const reader = await lock.acquire(false, never);
    const impatient = new AbortController();
    const writer = lock.acquire(true, impatient.signal);
    const behind = lock.acquire(false, never);
    impatient.abort();
    await expect(writer).rejects.toThrow('gave up');
    (await behind).release();
    reader.release();
    expect(lock.busy).toBe(false);
  });

  it('is not released twice by one holder', async () => {
    const lock = new RootLock();
    const one = await lock.acquire(true, never);
    one.release();
    const two = await lock.acquire(true, never);
    one.release();
    expect(lock.busy).toBe(true);
    two.release();
  });

  it('lets a writer become a reader, beside whom others come in before the next writer', async () => {
    const lock = new RootLock();
    const one = await lock.acquire(true, never);
    const beside = lock.acquire(false, never);
    const writer = lock.acquire(true, never);
    one.share();
    (await beside).release();
    one.share();
    one.release();
    (await writer).release();
    expect(lock.busy).toBe(false);
  });
});
