/** The RCH_ variables of one request: they belong to the caller's environment, never to the daemon's. */
import { fail, ok, type Result } from '../base/result.ts';
import { notices, priorities, type Notice, type Priority } from './schema.ts';

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
};

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

/** Reads them all; a value that cannot be understood is a failure that names the variable. */
export function requestSettings(env: Environment): Result<RequestSettings> {
  const wrong: string[] = [];
  const flag = (name: string): boolean | undefined => {
    const value = env[name];
    if (value === undefined || value === '') return undefined;
    const meaning = truth[value.toLowerCase()];
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
  };
  return wrong.length === 0 ? ok(settings) : fail(wrong.join('; '));
}
