/**
 * Keeps jobs away from a worker that loses them. Failures count in a bounded window; after a pause one job is
 * let through as a trial; only a job that really ended there closes the breaker.
 * ```
 * closed ── enough failures in WINDOW ──▶ open ── pause over ──▶ half-open ── success ──▶ closed
 *                                          ▲                         │ failure (longer pause)
 *                                          └─────────────────────────┘
 * ```
 */

/** Times in ms; config `[breaker]`. */
export type BreakerRules = {
  /** How long a failure counts. */
  readonly window: number;
  /** Weight in the window at which the breaker opens. */
  readonly threshold: number;
  /** The first pause; each failed trial doubles it up to the longest. */
  readonly firstPause: number;
  readonly longestPause: number;
};

/** Times are ms of a monotonic clock. */
export type Breaker =
  | { readonly kind: 'closed'; readonly failures: readonly Failed[] }
  | { readonly kind: 'open'; readonly until: number; readonly pause: number }
  /** `trial`: when a job was let through; undefined while none is. */
  | { readonly kind: 'half-open'; readonly pause: number; readonly trial: number | undefined };

export type Failed = { readonly at: number; readonly weight: number };

/** ms after which a trial that nothing was heard of is given up, so that another may start. */
export const TRIAL_DEADLINE = 120_000;

export const closedBreaker: Breaker = { kind: 'closed', failures: [] };

/** The breaker as time alone has moved it. */
export function breakerAt(breaker: Breaker, now: number): Breaker {
  if (breaker.kind === 'open' && now >= breaker.until)
    return { kind: 'half-open', pause: breaker.pause, trial: undefined };
  if (breaker.kind === 'half-open' && breaker.trial !== undefined) {
    if (now - breaker.trial > TRIAL_DEADLINE) return { ...breaker, trial: undefined };
  }
  return breaker;
}

/** Why no job may be sent, or undefined when one may. */
export function breakerRefusal(breaker: Breaker, now: number): string | undefined {
  const state = breakerAt(breaker, now);
  switch (state.kind) {
    case 'closed':
      return undefined;
    case 'open':
      return `it lost several jobs, and rests for ${Math.ceil((state.until - now) / 1000)} s more`;
    case 'half-open':
      return state.trial === undefined
        ? undefined
        : 'it lost several jobs, and one is on trial there';
  }
}

/** A job was sent. */
export function jobSent(breaker: Breaker, now: number): Breaker {
  const state = breakerAt(breaker, now);
  return state.kind === 'half-open' && state.trial === undefined ? { ...state, trial: now } : state;
}

/** A job ended there as its tool wished, whatever its exit code. */
export function jobSucceeded(): Breaker {
  return closedBreaker;
}

/** A job said nothing about the worker (its launcher went away): a trial may be made anew. */
export function jobSaidNothing(breaker: Breaker): Breaker {
  return breaker.kind === 'half-open' ? { ...breaker, trial: undefined } : breaker;
}

/** A job failed for a reason of the worker's; `weight` 1 for one that was lost. */
export function jobFailed(
  breaker: Breaker,
  failed: Failed,
  { window, threshold, firstPause, longestPause }: BreakerRules,
): Breaker {
  const now = failed.at;
  const state = breakerAt(breaker, now);
  switch (state.kind) {
    case 'open':
      return state;
    case 'half-open': {
      if (failed.weight === 0) return { ...state, trial: undefined };
      const pause = Math.min(state.pause * 2, longestPause);
      return { kind: 'open', until: now + pause, pause };
    }
    case 'closed': {
      const failures = [...state.failures, failed].filter(({ at }) => now - at <= window);
      const sum = failures.reduce((total, { weight }) => total + weight, 0);
      return sum >= threshold
        ? { kind: 'open', until: now + firstPause, pause: firstPause }
        : { kind: 'closed', failures };
    }
  }
}
