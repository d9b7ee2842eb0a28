/** What the agent did, for the person who looks after a failure: one line each, in a file that stays small. */
import { appendFileSync, existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes after which the log is put aside as agent.log.1, which replaces the one before. */
const MOST_BYTES = 1024 * 1024;

export type Log = (line: string) => void;

/** A failure to log never stops anything. */
export function openLog(folder: string): Log {
  const path = join(folder, 'agent.log');
  return (line) => {
    try {
      const size = statSync(path, { throwIfNoEntry: false })?.size;
      // Somebody may have removed it.
      if (size === undefined && !existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
      if (size !== undefined && size > MOST_BYTES) renameSync(path, `${path}.1`);
      appendFileSync(path, `${new Date().toISOString()} [${process.pid}] ${line}\n`, {
        mode: 0o600,
      });
    } catch {
      // A full disk must not end the agent.
    }
  };
}
