/** `rch logs` and `rch daemon logs`: the end of the daemon's log, and what comes with -f. */
import { existsSync } from 'node:fs';
import type { LogLevel } from '../base/log-levels.ts';
import { daemonLog } from '../base/layout.ts';
import { fail, ok } from '../base/result.ts';
import { loadConfig } from '../config/load.ts';
import { Follower, lastLines } from './log-files.ts';
import { logLine, parseLogLine, wanted } from './render/log.ts';
import { exitCodes, type Context, type Outcome } from './report.ts';

export type LogWishes = {
  readonly lines: number;
  readonly follow: boolean;
  /** The start of a job's id. */
  readonly job: string | undefined;
  readonly level: LogLevel | undefined;
};

function logFileOf({ layout, env }: Context): string {
  const config = loadConfig(layout, { HOME: env['HOME'] });
  return (config.ok ? config.value.config.general.logFile : undefined) ?? daemonLog(layout);
}

/** Prints lines as they come, until it is interrupted or nobody reads any more. */
async function followFrom(file: string, context: Context, wishes: LogWishes): Promise<void> {
  const over = new AbortController();
  // `rch logs -f | head`: the reader has seen enough.
  process.stdout.on('error', () => {
    over.abort();
  });
  const print = (line: string): void => {
    process.stdout.write(`${context.json ? line : logLine(line, context.look.colors)}\n`);
  };
  const fits = (line: string): boolean => wanted(parseLogLine(line), wishes);
  const follower = new Follower(file, (line) => {
    if (fits(line)) print(line);
  });
  for (const line of await lastLines(file, wishes.lines, fits, follower.place)) print(line);
  await follower.follow(over.signal);
}

/** With --json, each line is one of the log as it stands there. */
export async function logs(context: Context, wishes: LogWishes): Promise<Outcome> {
  const file = logFileOf(context);
  if (!existsSync(file) && !existsSync(`${file}.1`))
    return fail(
      `there is no log yet: ${file}`,
      'rch daemon start; where it runs: rch doctor daemon',
    );
  if (wishes.follow) {
    await followFrom(file, context, wishes);
    process.exit(exitCodes.done);
  }
  const lines = await lastLines(file, wishes.lines, (line) => wanted(parseLogLine(line), wishes));
  const none = lines.length === 0 && wishes.job !== undefined;
  if (none) return fail(`no line of the log is about a job ${wishes.job}`, 'rch history');
  if (context.json) {
    for (const line of lines) process.stdout.write(`${line}\n`);
    process.exit(exitCodes.done);
  }
  return ok({
    facts: lines,
    text: ({ colors }) => lines.map((line) => logLine(line, colors)).join('\n'),
  });
}
