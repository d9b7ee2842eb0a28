/**
 * The clock an agent reports. Tests cannot set a machine's clock, so hello may name a shift: then every time that
 * leaves the agent is shifted, and what a run made is shifted on disk before anybody looks (src/agent/stamping.ts),
 * so that the worker behaves in all that can be seen as one whose clock is off.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CLOCK_PATIENCE, nowNs } from '../base/clock.ts';
import type { RefusalKind } from '../protocol/jobs.ts';

/**
 * File times come from the kernel's coarse clock, which lags behind CLOCK_REALTIME by up to one tick
 * (10 ms at HZ=100, the coarsest Linux is built with).
 */
export const COARSE_CLOCK = 10_000_000n;

export class AgentClock {
  /** In ns, added to the machine's clock. */
  readonly shift: bigint;

  constructor(shift: bigint) {
    this.shift = shift;
  }

  /** ns since the epoch. */
  now(): bigint {
    return nowNs() + this.shift;
  }

  /** A time of the machine's clock as this agent reports it. */
  reported(machineTime: bigint): bigint {
    return machineTime + this.shift;
  }
}

/** What a tool makes must be newer than everything it reads (make and cargo compare times): `newest`, ns. */
export async function awaitClock(
  clock: AgentClock,
  newest: bigint,
): Promise<{ kind: RefusalKind; reason: string } | undefined> {
  const ready = newest + 2n * COARSE_CLOCK;
  for (;;) {
    const left = Number(ready - clock.now()) / 1e6;
    if (left < 0) return undefined;
    if (left > CLOCK_PATIENCE)
      return {
        kind: 'clock-behind',
        reason: `the worker's clock is ${Math.ceil(left)} ms behind the newest file`,
      };
    await sleep(Math.ceil(left) + 1);
  }
}
