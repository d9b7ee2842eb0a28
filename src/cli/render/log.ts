/** Lines of the daemon's log in words. */
import { z } from 'zod';
import { logLevels, type LogLevel } from '../../base/log-levels.ts';
import type { Colors } from '../report.ts';
import { duration, printable, size } from './text.ts';

/** What pino writes, by its own number (getpino.io): 30 is info, and so on. */
const numbers: Readonly<Record<LogLevel, number>> = {
  trace: 10,
  debug: 20,
  info: 30,
  warn: 40,
  error: 50,
};
const FATAL = 60;

const entry = z.looseObject({
  level: z.number(),
  /** ISO 8601. */
  time: z.string(),
  msg: z.string().default(''),
  job: z.string().optional(),
  worker: z.string().optional(),
  command: z.string().optional(),
});
export type LogEntry = z.infer<typeof entry>;

/** A line of the log; undefined for one that is none. */
export function parseLogLine(line: string): LogEntry | undefined {
  try {
    const parsed = entry.safeParse(JSON.parse(line));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

export type LogFilter = {
  /** The start of the job's id. */
  readonly job?: string | undefined;
  /** Lines of this level, and graver ones. */
  readonly level?: LogLevel | undefined;
};

export function wanted(line: LogEntry | undefined, { job, level }: LogFilter): boolean {
  if (line === undefined) return job === undefined && level === undefined;
  if (level !== undefined && line.level < numbers[level]) return false;
  return job === undefined || line.job?.startsWith(job) === true;
}

function levelText(level: number, colors: Colors): string {
  const name = level >= FATAL ? 'fatal' : (logLevels.find((each) => numbers[each] === level) ?? '');
  const text = name.padEnd(5);
  if (level >= numbers.error) return colors.red(text);
  if (level >= numbers.warn) return colors.yellow(text);
  return level < numbers.info ? colors.dim(text) : text;
}

const known = new Set(['level', 'time', 'pid', 'hostname', 'msg', 'job', 'worker', 'command']);

const numeric = z.record(z.string(), z.number());

/** Phases and bytes as everywhere else; anything else as it is. */
function valueText(name: string, value: unknown): string {
  const numbersOf = numeric.safeParse(value);
  if (numbersOf.success && (name === 'ms' || name === 'bytes')) {
    const inWords = name === 'ms' ? duration : size;
    const parts = Object.entries(numbersOf.data).map(([part, each]) => `${part} ${inWords(each)}`);
    return parts.join(', ');
  }
  return `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`;
}

/** `2026-11-23 08:03:22.123 info  3f2a91c0 css: make: ended there, exit=0, run 2.1 s`; the time is UTC. */
export function logLine(line: string, colors: Colors): string {
  const parsed = parseLogLine(line);
  if (parsed === undefined) return printable(line);
  const { level, time, msg, job, worker, command } = parsed;
  const when = time.replace('T', ' ').replace(/Z$/, '');
  const more = Object.entries(parsed)
    .filter(([name]) => !known.has(name))
    .map(([name, value]) => `, ${valueText(name, value)}`);
  const who = [worker, command].flatMap((name) => (name === undefined ? [] : [`${name}: `]));
  const id = job === undefined ? '' : `${colors.cyan(job.slice(0, 8))} `;
  const text = printable(`${who.join('')}${msg}${more.join('')}`);
  return `${colors.dim(when)} ${levelText(level, colors)} ${id}${text}`;
}
