/** The daemon's log: pino's JSON lines in a file bounded by size. A log that cannot be written stops nothing. */
import { renameSync, statSync } from 'node:fs';
import { pino, type Logger } from 'pino';
import { AppendFile } from './append-file.ts';

/** Bytes at which the log is rotated; one older file is kept. */
export const LOG_LIMIT = 10 * 1024 * 1024;

export type Log = {
  readonly logger: Logger;
  /** Goes on in another file. */
  readonly moveTo: (path: string) => void;
  readonly close: () => Promise<void>;
};

/** A start begins a new file when the old one is past half of its bound. */
function rotateAtStart(path: string): void {
  try {
    if (statSync(path).size > LOG_LIMIT / 2) renameSync(path, `${path}.1`);
  } catch {
    // No log yet, or none that we may move: the next write says so.
  }
}

/** `echo`: lines go to standard error too (rchd --foreground). */
export function openLog(path: string, options: { level: string; echo: boolean }): Log {
  const open = (at: string): AppendFile => {
    rotateAtStart(at);
    return new AppendFile(at, { limit: LOG_LIMIT, onFailure: () => undefined });
  };
  let place = path;
  let file = open(path);
  const write = (line: string): void => {
    file.append(line.trimEnd());
    if (options.echo) process.stderr.write(line);
  };
  const logger = pino(
    { level: options.level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    { write },
  );
  const moveTo = (at: string): void => {
    if (at === place) return;
    void file.close();
    place = at;
    file = open(at);
  };
  return { logger, moveTo, close: () => file.close() };
}
