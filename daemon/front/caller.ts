/**
 * Who asks: fairness is among callers, not among commands. A caller is what RCH_CALLER says; without it the terminal
 * session that the command was started from (a shell in a terminal, a pane of tmux, a login by ssh, with all that
 * runs below), and without a terminal the process session (an agent under a service manager, a CI job).
 */
import { processStat } from '../../src/base/processes.ts';

/** Ancestors followed upwards at most. */
const DEPTH = 64;
/** The longest name that is shown, characters. */
const MOST_NAME = 40;

export type CallerIdentity = {
  /** The same for all commands of one caller. */
  readonly key: string;
  /** For people: `bash[4711]`, or RCH_CALLER. */
  readonly name: string;
};

/** The leader of a session by its pid, named as people know it. */
function bySession(pid: number): CallerIdentity {
  const stat = processStat(pid);
  // A session outlives its leader, whose number is not given away while it does (setsid(2)).
  const key = `session ${pid} ${stat?.startTime.toString() ?? ''}`;
  return { key, name: `${stat?.name ?? 'session'}[${pid}]` };
}

/** `named`: RCH_CALLER. The outermost terminal counts: a terminal within a terminal (script, expect) is no other caller. */
export function callerOf(pid: number, named: string | undefined): CallerIdentity {
  if (named !== undefined) return { key: `named ${named}`, name: named.slice(0, MOST_NAME) };
  let outermost: number | undefined;
  let own: number | undefined;
  let at = pid;
  for (let depth = 0; depth < DEPTH && at > 1; depth++) {
    const stat = processStat(at);
    if (stat === undefined) break;
    own ??= stat.session;
    if (stat.terminal) outermost = stat.session;
    at = stat.ppid;
  }
  return bySession(outermost ?? own ?? pid);
}
