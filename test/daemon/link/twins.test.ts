/** Who asks for what another run has just made: a result that is about to be kept is waited for. */
import { describe, expect, it } from 'vitest';
import { Reusable } from '../../../daemon/link/reusable.ts';
import { Lead, Twins, type Shared } from '../../../daemon/link/twins.ts';

const shared: Shared = {
  job: 'a'.repeat(32),
  end: { kind: 'exited', code: 0 },
  pieces: [],
  program: undefined,
};
const lead = (): Lead => new Lead('b'.repeat(32), 'key', () => undefined);

function joining(twins: Twins, signal = new AbortController().signal): Promise<Shared | undefined> {
  const told = (): void => undefined;
  return twins.join(lead(), { told, inherit: told, signal });
}

describe('a result that is about to be kept', () => {
  it('answers who asked before it was', async () => {
    const twins = new Twins();
    const kept = twins.settling('key');
    const joined = joining(twins);
    twins.keep('key', new Reusable(shared, []), 10_000);
    kept();
    expect(await joined).toBe(shared);
  });

  it('is not waited for by who asks for something else, or wants it no more', async () => {
    const twins = new Twins();
    twins.settling('another');
    expect(await joining(twins)).toBeUndefined();
    twins.settling('key');
    expect(await joining(twins, AbortSignal.abort())).toBeUndefined();
    const asking = new AbortController();
    const joined = joining(twins, asking.signal);
    asking.abort();
    expect(await joined).toBeUndefined();
  });

  it('is not waited for without end', async () => {
    const twins = new Twins();
    twins.settling('key');
    expect(await joining(twins)).toBeUndefined();
  });
});
