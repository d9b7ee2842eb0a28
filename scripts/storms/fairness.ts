/** Whether callers took turns, by the order in which they were served: that needs no clock but the daemon's own order. */

/** A command in line; ms of one clock. */
export type Wait = { readonly caller: string; readonly asked: number; readonly served: number };

/**
 * Of one caller, so many may be served while another waits: the one that was ahead of it, and one whose question came
 * while the other was still being looked at, before it stood in line.
 */
export const MOST_AHEAD = 2;

/** Whoever was overtaken more often by one and the same caller while it waited, in words. */
export function overtaken(waits: readonly Wait[]): string[] {
  return waits.flatMap((wait) => {
    const ahead = new Map<string, number>();
    for (const { caller, served } of waits)
      if (caller !== wait.caller && served > wait.asked && served < wait.served)
        ahead.set(caller, (ahead.get(caller) ?? 0) + 1);
    return [...ahead]
      .filter(([, times]) => times > MOST_AHEAD)
      .map(
        ([caller, times]) =>
          `${caller} was served ${times} times while ${wait.caller} waited ${Math.round(wait.served - wait.asked)} ms`,
      );
  });
}
