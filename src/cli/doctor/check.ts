/** What `rch doctor` finds at one place of the chain, and what would mend it. */
import type { Result } from '../../base/result.ts';
import type { Context } from '../report.ts';

/** `warn`: it works, but not as well as it could, or not for everything. */
export type State = 'pass' | 'warn' | 'fail';

export type Check = {
  /** For scripts: `daemon.running`, `worker.css.sandbox`. */
  readonly id: string;
  /** What was looked at, for people. */
  readonly title: string;
  readonly state: State;
  readonly why: string;
  /** The command that mends it, or what to do where no command can; empty when nothing is wrong. */
  readonly mend: string;
  /** What `--fix` does about it, where that is safe; says what it did. */
  readonly fix?: () => Promise<Result<string>>;
};

export const areas = ['installation', 'path', 'config', 'daemon', 'workers', 'hook'] as const;
export type AreaName = (typeof areas)[number];

/** One place of the chain; looks, and changes nothing. */
export type Area = (context: Context) => Promise<Check[]>;

export type At = Pick<Check, 'id' | 'title'>;

export const pass = (at: At, why: string): Check => ({ ...at, state: 'pass', why, mend: '' });

type Wrong = { readonly mend: string; readonly fix?: Check['fix'] };

export function wrong(state: 'warn' | 'fail', at: At, why: string, how: Wrong): Check {
  const { mend, fix } = how;
  return { ...at, state, why, mend, ...(fix === undefined ? {} : { fix }) };
}

export const warn = (at: At, why: string, how: Wrong): Check => wrong('warn', at, why, how);
export const failed = (at: At, why: string, how: Wrong): Check => wrong('fail', at, why, how);
