/**
 * The daemon's log: pino's JSON lines in a file bounded by size, with so many older ones beside it. A log that cannot be
 * written stops nothing. A line about a job has its id as `job`. No line holds arguments of a command or values of an
 * environment: whoever logs words about a command takes them from daemon/journal/words.ts.
 */
import { rmSync } from 'node:fs';
import { pino, type Logger } from 'pino';
import { daemonLog, type Layout } from '../../src/base/layout.ts';
import type { Config } from '../../src/config/schema.ts';
import { AppendFile } from './append-file.ts';

export type LogPlace = {
  readonly path: string;
  /** Bytes at which it is rotated. */
  readonly limit: number;
  /** Older files that stay: PATH.1 is the youngest. */
  readonly keep: number;
};

/** As configured. */
export function logPlaceOf(layout: Layout, general: Config['general']): LogPlace {
  const { logFile = daemonLog(layout), logMaxSizeMb, logKeepFiles } = general;
  return { path: logFile, limit: Math.floor(logMaxSizeMb * 1e6), keep: logKeepFiles };
}

export type Log = {
  readonly logger: Logger;
  /** Goes on in another file, or within other bounds. */
  readonly moveTo: (place: LogPlace) => void;
  /** Why lines are not written; '' while they are. */
  readonly trouble: () => string;
  readonly close: () => Promise<void>;
};

/** No more older files were ever allowed (general.log_keep_files). */
const MOST_FILES = 99;

/** Takes away what an earlier, larger bound left. */
function dropBeyond({ path, keep }: LogPlace): void {
  for (let at = keep + 1; at <= MOST_FILES; at += 1) {
    try {
      rmSync(`${path}.${at}`);
    } catch {
      // There are no more of them, or none that we may take away.
      return;
    }
  }
}

function openAt(place: LogPlace): AppendFile {
  dropBeyond(place);
  const { path, limit, keep } = place;
  return new AppendFile(path, { limit, keep, onFailure: () => undefined });
}

/** `echo`: lines go to standard error too (rchd --foreground). */
export function openLog(place: LogPlace, options: { level: string; echo: boolean }): Log {
  let now = place;
  let file = openAt(place);
  const write = (line: string): void => {
    file.append(line.trimEnd());
    if (options.echo) process.stderr.write(line);
  };
  const logger = pino(
    { level: options.level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    { write },
  );
  const moveTo = (to: LogPlace): void => {
    if (to.path === now.path && to.limit === now.limit && to.keep === now.keep) return;
    void file.close();
    now = to;
    file = openAt(to);
  };
  return { logger, moveTo, trouble: () => file.trouble, close: () => file.close() };
}
