/** CLOCK_REALTIME as finely as Node gives it. */
import { performance } from 'node:perf_hooks';

/** How long a command waits on a worker whose clock is behind the newest file, ms; what it makes must be newer. */
export const CLOCK_PATIENCE = 2000;

let base = performance.timeOrigin;

/** Now, in ns since the epoch, to about a µs; follows a stepped clock within 2 ms. */
export function nowNs(): bigint {
  const wall = Date.now();
  let fine = base + performance.now();
  // Date.now() cuts to whole ms, so a fine reading may lie up to 1 ms above it.
  if (fine < wall || fine > wall + 2) {
    base += wall - fine;
    fine = wall;
  }
  return BigInt(Math.round(fine * 1e3)) * 1000n;
}
