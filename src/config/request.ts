/** The RCH_ variables of one request: they belong to the caller's environment, never to the daemon's. */
import { ok, type Failure, type Result } from '../base/result.ts';
import { notices, type Notice } from './schema.ts';
import { priorities, type Priority } from './waiting-schema.ts';

export type RequestSettings = {
  /** RCH_ENABLED; undefined: as configured. */
  readonly enabled: boolean | undefined;
  /** RCH_BYPASS: no rch at all. */
  readonly bypass: boolean;
  /** RCH_LOCAL_ONLY: here, but under a lease. */
  readonly localOnly: boolean;
  /** RCH_FORCE_REMOTE: the weighing of cost is skipped, never a question of safety. */
  readonly forceRemote: boolean;
  /** RCH_DRY_RUN: says what would happen, on stderr. */
  readonly dryRun: boolean;
  /** RCH_VERBOSE; undefined: as configured. */
  readonly verbose: boolean | undefined;
  /** RCH_WORKER: this worker or here. */
  readonly worker: string | undefined;
  /** RCH_WORKERS: one of these or here. */
  readonly workers: readonly string[] | undefined;
  /** RCH_NOTICE, in place of output.notice; undefined: as configured. */
  readonly notice: Notice | undefined;
  /** RCH_PRIORITY, in place of queue.priority; undefined: as configured. */
  readonly priority: Priority | undefined;
  /** RCH_CALLER: whose command it is, for fairness; undefined: the session it was started from. */
  readonly caller: string | undefined;
  /** RCH_COMPRESSION, in place of transfer.compression_level; undefined: as configured. */
  readonly compression: number | undefined;
  /** RCH_NO_CACHE, in place of transfer.checksum: every file is read anew; undefined: as configured. */
  readonly noCache: boolean | undefined;
};

/** The same for people; the help, the manual page and the README name them. */
export const requestVariables: readonly (readonly [string, string])[] = [
  ['RCH_BYPASS=1', 'no rch at all'],
  ['RCH_ENABLED=0', 'the same; RCH_ENABLED=1 is on again where general.enabled is off'],
  ['RCH_LOCAL_ONLY=1', 'here, but counted among the heavy builds of this machine'],
  ['RCH_FORCE_REMOTE=1', 'skips the weighing of cost, never a question of safety'],
  ['RCH_WORKER=ID', 'that worker or here'],
  ['RCH_WORKERS=A,B', 'one of these or here'],
  ['RCH_PRIORITY=low', 'low, normal or high, in place of queue.priority'],
  ['RCH_CALLER=NAME', 'whose command it is, for fairness'],
  ['RCH_COMPRESSION=N', 'zstd level, in place of transfer.compression_level'],
  ['RCH_NO_CACHE=1', 'every file is read anew, in place of transfer.checksum'],
  ['RCH_VERBOSE=1', 'each decision and phase on standard error'],
  ['RCH_DRY_RUN=1', 'shows in a box on stderr what would happen, and runs here'],
  ['RCH_NOTICE=never', 'auto, never or always, in place of output.notice'],
];

type Environment = Readonly<Record<string, string | undefined>>;

const truth: Readonly<Record<string, boolean>> = {
  '1': true,
  true: true,
  yes: true,
  on: true,
  '0': false,
  false: false,
  no: false,
  off: false,
};

/** What a switch says; undefined where it is not set, or says nothing that can be understood. */
export function switchOf(value: string | undefined): boolean | undefined {
  return truth[(value ?? '').toLowerCase()];
}

/** Whether a switch that keeps commands here is on: what cannot be understood is (shims/launcher/daemon.h, is_on). */
export function isOn(value: string | undefined): boolean {
  return (value ?? '') !== '' && switchOf(value) !== false;
}

/** A value that cannot be understood; `understood` is what the others say. */
export type RequestMistake = Failure & { readonly understood: RequestSettings };

/** Reads them all; a value that cannot be understood is a failure that names the variable. */
export function requestSettings(env: Environment): Result<RequestSettings, RequestMistake> {
  const wrong: string[] = [];
  const flag = (name: string): boolean | undefined => {
    const value = env[name];
    if (value === undefined || value === '') return undefined;
    const meaning = switchOf(value);
    if (meaning === undefined) wrong.push(`${name}=${value}: must be 1 or 0`);
    return meaning;
  };
  const text = (name: string): string | undefined => {
    const value = env[name]?.trim();
    return value === undefined || value === '' ? undefined : value;
  };
  const oneOf = <T extends string>(name: string, allowed: readonly T[]): T | undefined => {
    const value = text(name);
    const found = allowed.find((each) => each === value);
    if (found === undefined && value !== undefined)
      wrong.push(`${name}=${value}: must be ${allowed.join(', ')}`);
    return found;
  };
  const level = text('RCH_COMPRESSION');
  const known = level === undefined || (/^\d{1,2}$/.test(level) && +level >= 1 && +level <= 19);
  if (!known) wrong.push(`RCH_COMPRESSION=${level}: must be 1 to 19`);
  const settings: RequestSettings = {
    enabled: flag('RCH_ENABLED'),
    bypass: flag('RCH_BYPASS') ?? false,
    localOnly: flag('RCH_LOCAL_ONLY') ?? false,
    forceRemote: flag('RCH_FORCE_REMOTE') ?? false,
    dryRun: flag('RCH_DRY_RUN') ?? false,
    verbose: flag('RCH_VERBOSE'),
    worker: text('RCH_WORKER'),
    workers: text('RCH_WORKERS')
      ?.split(',')
      .map((id) => id.trim())
      .filter((id) => id !== ''),
    notice: oneOf('RCH_NOTICE', notices),
    priority: oneOf('RCH_PRIORITY', priorities),
    caller: text('RCH_CALLER'),
    compression: level === undefined ? undefined : Number(level),
    noCache: flag('RCH_NO_CACHE'),
  };
  if (wrong.length === 0) return ok(settings);
  return { ok: false, failure: { reason: wrong.join('; '), understood: settings } };
}
