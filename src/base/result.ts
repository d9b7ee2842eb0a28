/**
 * An expected outcome that may fail: failures are data with a reason, throwing is for bugs.
 */
export type Result<T, F = Failure> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: F };

/** Our own failure: what went wrong in one line, and what to do next where we know it. */
export type Failure = { readonly reason: string; readonly next?: string };

/** Wraps a value as a success. */
export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

/** Wraps a reason as a failure; `next` says what the user can do about it. */
export function fail(
  reason: string,
  next?: string,
): { readonly ok: false; readonly failure: Failure } {
  return { ok: false, failure: next === undefined ? { reason } : { reason, next } };
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Marks a branch that the types have ruled out; reaching it is a bug. */
export function never(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
