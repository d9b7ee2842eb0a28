/** Weighs whether a command that may run elsewhere gains by it. A question of time alone, never of safety. */
import type { CommandKind } from '../classify/verdict.ts';

/** What earlier runs of this kind of command in this project took; medians in ms, undefined without any. */
export type Experience = {
  readonly localMs: number | undefined;
  /** The run itself on the worker. */
  readonly runMs: number | undefined;
  /** All else of a remote command: scan, sync, return. */
  readonly wayMs: number | undefined;
  readonly remoteRuns: number;
  /** Commands kept here on account of the weighing since the last remote one. */
  readonly keptHere: number;
};

export type Weighing = {
  readonly command: CommandKind;
  /** RCH_FORCE_REMOTE=1. */
  readonly force: boolean;
  readonly tooSmall: string | undefined;
  /** A guess at the run here, ms, for when there is no experience. */
  readonly estimateMs: number;
  readonly experience: Experience;
  /** Heavy commands that run here now, and how many may. */
  readonly localRunning: number;
  readonly localLimit: number;
};

export type Worth = { readonly remote: boolean; readonly reason: string };

/** ms below which a single compiler call is not worth the way. */
export const SMALL_CALL = 1500;
/** Remote runs before experience is believed. */
const BELIEVED = 3;
/** ms of way below which nobody minds. */
const UNNOTICED = 500;
/** After so many commands kept here, the way is tried again. */
const TRY_AGAIN = 10;

function isSingleCall(command: CommandKind): boolean {
  switch (command) {
    case 'rustc':
    case 'cc compile':
    case 'cc link':
    case 'cc compile and link':
      return true;
    case 'cargo build':
    case 'cargo check':
    case 'cargo clippy':
    case 'cargo test':
    case 'cargo bench':
    case 'cargo doc':
    case 'cargo rustc':
    case 'cargo rustdoc':
    case 'cargo nextest':
    case 'cargo run':
    case 'make':
    case 'ninja':
    case 'cmake build':
    case 'meson compile':
      return false;
  }
}

const ms = (value: number): string => `${Math.round(value)} ms`;

/** Whether to send it, with the reason either way. */
export function worth(weighing: Weighing): Worth {
  const { command, experience } = weighing;
  if (weighing.force) return { remote: true, reason: 'RCH_FORCE_REMOTE skips the weighing' };
  if (weighing.tooSmall !== undefined) return { remote: false, reason: weighing.tooSmall };
  const { localMs, runMs, wayMs } = experience;
  // A busy machine slows what runs here by as much as its cores are shared.
  const load = 1 + weighing.localRunning / Math.max(1, weighing.localLimit);
  if (isSingleCall(command)) {
    const here = (localMs ?? runMs ?? weighing.estimateMs) * load;
    return here < SMALL_CALL
      ? { remote: false, reason: `a single ${command} of about ${ms(here)} is not worth the way` }
      : { remote: true, reason: `a single ${command} of about ${ms(here)}` };
  }
  if (runMs === undefined || wayMs === undefined || experience.remoteRuns < BELIEVED)
    return { remote: true, reason: `${command} is worth the way until we know better` };
  const here = (localMs ?? runMs) * load;
  const there = runMs + wayMs;
  const compared = `about ${ms(there)} there (${ms(wayMs)} of it the way), ${ms(here)} here`;
  if (wayMs <= UNNOTICED || wayMs <= 2 * here) return { remote: true, reason: compared };
  if (experience.keptHere >= TRY_AGAIN)
    return { remote: true, reason: `${compared}: tried again after ${experience.keptHere} here` };
  return { remote: false, reason: `not worth the way: ${compared}` };
}
