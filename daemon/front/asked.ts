/** A question on its way to a decision: who asked what, and what has been found out so far. */
import type { RequestSettings } from '../../src/config/request.ts';
import type { Config } from '../../src/config/schema.ts';
import type { Request } from '../classify/request.ts';
import type { Candidate } from '../classify/verdict.ts';
import type { Plan } from '../plan/types.ts';
import type { Worth } from '../select/worth.ts';
import type { Look, Reasons, Subject } from './decision.ts';
import type { Entry } from './line.ts';

/** What a decision may do while it is made. */
export type DecisionHooks = {
  readonly signal: AbortSignal;
  /** Workers that turned this very command away, with their reasons. */
  readonly tried: ReadonlyMap<string, string>;
  /** Something slow is under way. */
  readonly wait: (text: string) => void;
  /**
   * Runs a command through the launcher (cargo fetch). False: there is none, or its end is the command's end.
   * Absent for a dry decision, which then goes on as if it had been run.
   */
  readonly first?: (command: NonNullable<Plan['first']>) => Promise<boolean>;
  /** Whether the caller has that descriptor open for the commands it runs. */
  readonly inherits?: (descriptor: string) => boolean;
  /** What names commands that are one and the same (join-key.ts); absent for one that is only explained. */
  readonly key?: (plan: Plan, config: Config) => string;
  /** The command is about to be sent to that worker. */
  readonly chosen?: (key: string, worker: string) => void;
  /** Whoever may have to wait in line; absent for a dry decision, which says how things stand now. */
  readonly place?: Place;
};

/** A command as it stands in line, but for what only the plan tells. */
export type Place = Omit<Entry, 'priority' | 'cores'>;

export type Asked = {
  readonly request: Request;
  readonly candidate: Candidate;
  readonly caller: RequestSettings;
  readonly reasons: Reasons;
  readonly hooks: DecisionHooks;
};

export type Planned = {
  readonly plan: Plan;
  readonly look: Look | undefined;
  readonly config: Config;
  readonly subject: Subject;
  readonly worth: Worth;
};
