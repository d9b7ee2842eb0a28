/** When a resident program gives memory back. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Memory } from '../../src/base/memory.ts';

describe('a program that rests', () => {
  const collected = vi.fn();
  const own = Object.getOwnPropertyDescriptor(globalThis, 'gc');

  beforeEach(() => {
    vi.useFakeTimers();
    collected.mockClear();
    Object.defineProperty(globalThis, 'gc', { value: collected, configurable: true });
  });
  afterEach(() => {
    vi.useRealTimers();
    if (own === undefined) Reflect.deleteProperty(globalThis, 'gc');
    else Object.defineProperty(globalThis, 'gc', own);
  });

  it('collects after a while, and again what it forgets later, though it did not grow', () => {
    const forget = vi.fn();
    vi.spyOn(process.memoryUsage, 'rss').mockReturnValue(100e6);
    const memory = new Memory({ busy: () => false, forget });
    memory.used();
    vi.advanceTimersByTime(5000);
    expect(collected).toHaveBeenCalledTimes(2);
    vi.advanceTimersByTime(55_000);
    expect(forget).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(5000);
    expect(collected).toHaveBeenCalledTimes(4);
  });

  it('does not pause for what is not worth it', () => {
    vi.spyOn(process.memoryUsage, 'rss').mockReturnValue(100e6);
    const memory = new Memory({ busy: () => false });
    memory.used();
    vi.advanceTimersByTime(5000);
    memory.used();
    vi.advanceTimersByTime(5000);
    expect(collected).toHaveBeenCalledTimes(2);
  });

  it('waits until nothing runs', () => {
    let busy = true;
    const forget = vi.fn();
    const memory = new Memory({ busy: () => busy, forget });
    memory.used();
    vi.advanceTimersByTime(61_000);
    expect(forget).not.toHaveBeenCalled();
    expect(collected).not.toHaveBeenCalled();
    busy = false;
    vi.advanceTimersByTime(5000);
    expect(collected).toHaveBeenCalledTimes(2);
  });
});
