/** What a command of ours found out: facts for scripts, and the same in words for people. */
import type { createColors } from 'picocolors';
import type { Layout } from '../base/layout.ts';
import type { Failure, Result } from '../base/result.ts';

export type Colors = ReturnType<typeof createColors>;

/** How a report may look. `width` in columns; Infinity where standard output is no terminal. */
export type Look = { readonly colors: Colors; readonly width: number };

export type Report = {
  /** Printed as JSON with --json. */
  readonly facts: unknown;
  /** Printed otherwise; without its last newline. Empty prints nothing. */
  readonly text: (look: Look) => string;
  /** By default 0. */
  readonly exit?: number;
};

/** `exit`: by default 1. */
export type CommandFailure = Failure & { readonly exit?: number };

export type Outcome = Result<Report, CommandFailure>;

/** The command line says too little, or what makes no sense. */
export function misused(
  reason: string,
  next: string,
): { readonly ok: false; readonly failure: CommandFailure } {
  return { ok: false, failure: { reason, next, exit: exitCodes.usage } };
}

/** What every command is given. */
export type Context = {
  readonly layout: Layout;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly json: boolean;
  /** -v: more words on standard error. */
  readonly verbose: boolean;
  /** Of standard output. */
  readonly look: Look;
  /** Words on standard error, on the way to the report; nothing with --json. */
  readonly note: (text: string) => void;
};

/**
 * Exit codes of `rch` itself. `rch exec` ends as its command ends; 102 is the launcher's, for a remote run that
 * was lost after it had started.
 */
export const exitCodes = { done: 0, failed: 1, usage: 2, notRunning: 3 } as const;

/** The same for people. */
export const exitMeanings: readonly (readonly [string, string])[] = [
  ['0', 'done'],
  ['1', 'it failed; the message says what to do next'],
  ['2', 'the command line was not understood'],
  ['3', 'the daemon is not running (rch status, rch daemon status)'],
  ['102', 'a remote run was lost after it had started (from shims and rch exec)'],
];
