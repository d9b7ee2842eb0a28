/** Weighs whether a command that may run elsewhere gains by it. A question of time alone, never of safety. */
import type { CommandKind } from '../classify/verdict.ts';

/** What earlier runs of this kind of command in this project took; medians in ms, undefined without any. */
export type Experience = {
  readonly localMs: number | undefined;
  /** Half the distance between the quartiles, in parts of the median; undefined below three runs. */
  readonly localSpread: number | undefined;
  /** The run itself on the worker. */
  readonly runMs: number | undefined;
  readonly runSpread: number | undefined;
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
  /** How many times longer a command takes here now than on an idle machine; at least 1. */
  readonly load: number;
  readonly rules: CostRules;
};

/** Of [cost_benefit]; `always` and `never` are the patterns that the command fits. */
export type CostRules = {
  readonly minCompileTimeMs: number;
  readonly benefitThreshold: number;
  readonly always: string | undefined;
  readonly never: string | undefined;
};

export type Worth = { readonly remote: boolean; readonly reason: string };

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

/** `about 2100 ms ± 12 %`; what varies by more than itself has no such bounds. */
function about(value: number, spread: number | undefined): string {
  if (spread === undefined) return `about ${ms(value)}`;
  const bounds = spread < 1 ? `± ${Math.round(spread * 100)} %` : '(it varies a lot)';
  return `about ${ms(value)} ${bounds}`;
}

/** ms the command would take here now, by experience alone; undefined without any. */
export function hereMs({ localMs, runMs }: Experience, load: number): number | undefined {
  const idle = localMs ?? runMs;
  return idle === undefined ? undefined : idle * load;
}

/** Whether to send it, with the reason either way. */
export function worth(weighing: Weighing): Worth {
  const { command, experience, load, rules } = weighing;
  if (weighing.force) return { remote: true, reason: 'RCH_FORCE_REMOTE skips the weighing' };
  if (rules.never !== undefined)
    return { remote: false, reason: `cost_benefit.never_remote holds "${rules.never}"` };
  if (rules.always !== undefined)
    return { remote: true, reason: `cost_benefit.always_remote holds "${rules.always}"` };
  if (weighing.tooSmall !== undefined) return { remote: false, reason: weighing.tooSmall };
  const { runMs, wayMs } = experience;
  const here = hereMs(experience, load);
  if (isSingleCall(command)) {
    const guess = here ?? weighing.estimateMs * load;
    return guess < rules.minCompileTimeMs
      ? { remote: false, reason: `a single ${command} of about ${ms(guess)} is not worth the way` }
      : { remote: true, reason: `a single ${command} of about ${ms(guess)}` };
  }
  if (
    here === undefined ||
    runMs === undefined ||
    wayMs === undefined ||
    experience.remoteRuns < BELIEVED
  )
    return { remote: true, reason: `${command} is worth the way until we know better` };
  const there = runMs + wayMs;
  const compared = `${about(there, experience.runSpread)} there (${ms(wayMs)} of it the way), ${about(here, experience.localSpread)} here`;
  if (wayMs <= UNNOTICED || there <= rules.benefitThreshold * here)
    return { remote: true, reason: compared };
  if (experience.keptHere >= TRY_AGAIN)
    return { remote: true, reason: `${compared}: tried again after ${experience.keptHere} here` };
  return { remote: false, reason: `not worth the way: ${compared}` };
}
