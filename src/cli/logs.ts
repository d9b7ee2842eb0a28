/** `rch daemon logs`: the end of the daemon's log, and what comes with -f. */
import { createReadStream, statSync, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { daemonLog } from '../base/layout.ts';
import { fail, ok } from '../base/result.ts';
import { loadConfig } from '../config/load.ts';
import type { Context, Outcome } from './report.ts';

const levels: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
};

/** A line of pino in words; a line that is no JSON as it is. */
export function logLine(line: string): string {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    return line;
  }
  if (typeof entry !== 'object' || entry === null) return line;
  const { level, time, msg, ...rest } = entry as Record<string, unknown>;
  const known = new Set(['pid', 'hostname']);
  const when = typeof time === 'number' ? new Date(time).toISOString() : String(time);
  const more = Object.entries(rest)
    .filter(([key]) => !known.has(key))
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return `${when} ${levels[Number(level)] ?? String(level)} ${typeof msg === 'string' ? msg : ''}${more.join('')}`;
}

function logFileOf({ layout, env }: Context): string {
  const config = loadConfig(layout, { HOME: env['HOME'] });
  return (config.ok ? config.value.config.general.logFile : undefined) ?? daemonLog(layout);
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** Prints what is appended to `file` after `from`, until interrupted; a new file of that name is read from its start. */
async function follow(file: string, from: number, print: (line: string) => void): Promise<void> {
  let at = from;
  let rest = '';
  for await (const event of changesOf(file)) {
    if (event !== file) continue;
    const size = sizeOf(file);
    if (size < at) at = 0;
    if (size === at) continue;
    for await (const chunk of createReadStream(file, {
      start: at,
      end: size - 1,
      encoding: 'utf8',
    }))
      rest += String(chunk);
    at = size;
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) print(line);
  }
}

async function* changesOf(file: string): AsyncGenerator<string> {
  yield file;
  const watcher = watch(dirname(file));
  const queue: string[] = [];
  let wake: () => void = () => undefined;
  watcher.on('change', () => {
    queue.push(file);
    wake();
  });
  try {
    for (;;) {
      const next = queue.shift();
      if (next !== undefined) {
        queue.length = 0;
        yield next;
      } else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    watcher.close();
  }
}

export async function daemonLogs(
  context: Context,
  options: { readonly lines: number; readonly follow: boolean },
): Promise<Outcome> {
  const file = logFileOf(context);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    return fail(`there is no log yet: ${file}`, 'rch daemon start');
  }
  const show = context.json ? (line: string): string => line : logLine;
  const lines = text.split('\n').filter((line) => line !== '');
  const last = lines.slice(-options.lines);
  if (context.json || options.follow) {
    for (const line of last) process.stdout.write(`${show(line)}\n`);
    if (options.follow)
      await follow(file, Buffer.byteLength(text), (line) =>
        process.stdout.write(`${show(line)}\n`),
      );
    process.exit(0);
  }
  return ok({ facts: last, text: () => last.map(show).join('\n') });
}
