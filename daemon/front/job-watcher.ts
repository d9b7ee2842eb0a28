/** Whoever follows commands from outside: the log, metrics, traces, and the alarm. */
import type { JobOutcome } from '../../src/protocol/ipc.ts';
import type { JournalLine } from '../journal/record.ts';
import type { FallbackCause } from '../select/select.ts';

/** What else is known of a decision. */
export type Decided = {
  /** Over at once, or only asked: there are thousands of them. */
  readonly light: boolean;
  /** It should have gone to a worker, and none could take it, for that cause. */
  readonly fallback?: FallbackCause | undefined;
  /** ms from the question to the answer; absent where nobody waited for one. */
  readonly answeredMs?: number | undefined;
  /** The environment of the command, latin1, where it is known. */
  readonly env?: ReadonlyMap<string, string> | undefined;
};

/**
 * How a command ended: as its link says (`again`: it came back before its start, and is asked about anew), here under a
 * lease, or cancelled while it waited.
 */
export type EndKind = Exclude<JobOutcome['kind'], 'local'> | 'again' | 'here' | 'inLine';

export type JobWatcher = {
  /** A command was decided about; a remote one goes on to `ended`. */
  readonly decided: (line: JournalLine, how: Decided) => void;
  /** It is over, or will say so of itself no more; `line` as the history has it now. */
  readonly ended: (line: JournalLine, how: EndKind) => void;
};

/** One that tells several; `complain` hears of a bug in one of them, which must stop no command. */
export function watchers(
  all: readonly JobWatcher[],
  complain: (thrown: unknown) => void,
): JobWatcher {
  const tell = (what: (each: JobWatcher) => void): void => {
    for (const each of all)
      try {
        what(each);
      } catch (thrown) {
        complain(thrown);
      }
  };
  return {
    decided: (line, how) => {
      tell((each) => {
        each.decided(line, how);
      });
    },
    ended: (line, how) => {
      tell((each) => {
        each.ended(line, how);
      });
    },
  };
}
