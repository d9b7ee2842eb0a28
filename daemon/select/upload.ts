/**
 * Whether an upload is worth its time. It is an investment, since what is there need not be sent again: only one that
 * takes many times what the command takes here is not made. Pure.
 */

/** How many times longer than the command here, and ms from which on anybody minds. */
const MANY_TIMES = 20;
const MINDED = 300_000;
/** ms of sending that say how fast the way is. */
export const TELLING_MS = 5000;

export type Upload = {
  /** Bytes that the worker lacks still. */
  readonly left: number;
  /** Bytes that went in so many ms. */
  readonly moved: number;
  readonly ms: number;
  /** Bytes a ms of an upload a moment ago; undefined when there was none. */
  readonly before: number | undefined;
};

/** Bytes a ms; undefined while it cannot be told. */
export function rateOf({ moved, ms, before }: Upload): number | undefined {
  return ms >= TELLING_MS ? moved / ms : before;
}

const amount = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;

/** Why the upload is not worth it; undefined when it is. `hereMs`: about what the command takes here; 0: no matter. */
export function tooDear(upload: Upload, hereMs: number): string | undefined {
  const rate = rateOf(upload);
  if (hereMs === 0 || rate === undefined) return undefined;
  const { left } = upload;
  const ms = rate === 0 ? Infinity : left / rate;
  if (ms < MINDED || ms < MANY_TIMES * hereMs) return undefined;
  const speed = `${(rate / 1000).toFixed(1)} MB/s`;
  const minutes = Number.isFinite(ms) ? `about ${Math.round(ms / 60_000)} min` : 'for ever';
  return `to send it ${amount(left)} at ${speed} takes ${minutes}, and the command about ${Math.round(hereMs / 1000)} s here`;
}
