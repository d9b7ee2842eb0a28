/**
 * What outlives the link of a started job: one file a job, written before the worker is told to run, removed when all
 * have heard of the end. One JSON object a line; a line that a crash tore is cut off.
 * ```
 * run       what a later link needs to take the result back; always the first line
 * placing   the rule by which the result of a root is stamped: from here on files of it may be in place
 * returned  all of it is in place; only the end is still to be told
 * shared    the run of another job was its own: what that wrote, and its end, to be told to the launcher
 * kept      it could not be brought back and stays on the worker
 * done      how it ended, as the front was told
 * ```
 * Written by write(2) alone: it has to survive the death of processes, not that of the machine, which ends the launcher
 * too.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../src/base/result.ts';
import { doneMessage, lastingPlan } from '../../src/protocol/ipc.ts';

/** Raised when a line changes its meaning; a file of another number cannot be taken up. */
const VERSION = 1;

const ns = z.string().regex(/^-?\d{1,19}$/);

const runLine = z.object({
  type: z.literal('run'),
  version: z.literal(VERSION),
  plan: lastingPlan,
  /** Project roots: when the scan before the run began, ns here, and files that had changed just before it (see seenIn). */
  roots: z.array(
    z.object({
      key: z.string(),
      scanTime: ns,
      seen: z.array(z.object({ path: z.string(), mtime: ns, hash: z.string() })).default([]),
    }),
  ),
  /** Folders (latin1) of which the job has its own: /tmp and the like. */
  temporaries: z.array(z.string()),
  /** ms since the epoch. */
  at: z.number(),
  memo: z.unknown(),
});
const placingLine = z.object({
  type: z.literal('placing'),
  root: z.string(),
  rule: z.object({ from: ns, till: ns, offset: ns, floor: ns, cap: ns }),
});
const returnedLine = z.object({
  type: z.literal('returned'),
  conflicts: z.array(z.string()),
  missedEnv: z.array(z.string()),
});
const sharedLine = z.object({
  type: z.literal('shared'),
  /** Whose run it was. */
  job: z.string(),
  end: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('exited'), code: z.number() }),
    z.object({ kind: z.literal('signaled'), signal: z.number() }),
    z.object({ kind: z.literal('execHere') }),
  ]),
  /** The number of a stream and base64, in the order in which they were written. */
  pieces: z.array(z.tuple([z.number(), z.string()])),
  /** Base64 of the `execHere` frame for the launcher; '' for none. */
  program: z.string(),
});
const keptLine = z.object({ type: z.literal('kept'), reason: z.string(), since: z.string() });
const doneLine = z.object({ type: z.literal('done'), done: doneMessage });
const jobLine = z.discriminatedUnion('type', [
  runLine,
  placingLine,
  returnedLine,
  sharedLine,
  keptLine,
  doneLine,
]);
export type JobLine = z.infer<typeof jobLine>;
export type RunLine = z.infer<typeof runLine>;
export type PlacingRule = z.infer<typeof placingLine>['rule'];

/** All that a file says; of two lines of a kind the later one counts. */
export type JobRecord = {
  readonly run: RunLine;
  readonly placing: ReadonlyMap<string, PlacingRule>;
  readonly returned: z.infer<typeof returnedLine> | undefined;
  readonly shared: z.infer<typeof sharedLine> | undefined;
  readonly kept: z.infer<typeof keptLine> | undefined;
  readonly done: z.infer<typeof doneLine>['done'] | undefined;
};

export class JobFile {
  readonly #path: string;
  readonly #complain: (what: string) => void;
  #file: number | undefined;
  #trouble = '';

  private constructor(path: string, complain: (what: string) => void) {
    this.#path = path;
    this.#complain = complain;
  }

  /** The file of a job in `folder`, which need not exist yet. */
  static of(folder: string, job: string, complain: (what: string) => void): JobFile {
    return new JobFile(join(folder, `${job}.jsonl`), complain);
  }

  /** Why a line could not be written; '' when all were. */
  get trouble(): string {
    return this.#trouble;
  }

  /** Adds a line; false when it cannot be written. */
  append(line: JobLine): boolean {
    try {
      this.#file ??= this.#open();
      appendWhole(this.#file, Buffer.from(`${JSON.stringify(line)}\n`));
      return true;
    } catch (thrown) {
      this.#trouble = messageOf(thrown);
      this.#complain(`${this.#path}: ${this.#trouble}`);
      return false;
    }
  }

  /** The job is over for all. */
  remove(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    rmSync(this.#path, { force: true });
  }

  #open(): number {
    const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
    const flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW;
    try {
      return openSync(this.#path, flags, 0o600);
    } catch {
      mkdirSync(join(this.#path, '..'), { recursive: true, mode: 0o700 });
      return openSync(this.#path, flags, 0o600);
    }
  }
}

/** All of it or nothing: on a disk that is nearly full, write(2) takes a part and does not fail. */
function appendWhole(file: number, bytes: Buffer): void {
  const written = writeSync(file, bytes);
  if (written === bytes.length) return;
  ftruncateSync(file, fstatSync(file).size - written);
  throw new Error('the disk is full');
}

/** Whether a link left jobs in `folder`. */
export function holdsJobs(folder: string): boolean {
  try {
    return readdirSync(folder).some((name) => name.endsWith('.jsonl'));
  } catch {
    return false;
  }
}

/** What a file's text says; undefined when it is not one of ours, or of another version. */
export function readRecord(text: string): JobRecord | undefined {
  const lines: JobLine[] = [];
  for (const each of text.split('\n').slice(0, -1)) {
    const line = parseLine(each);
    if (line === undefined) return undefined;
    lines.push(line);
  }
  const [run] = lines;
  if (run?.type !== 'run') return undefined;
  const placing = new Map<string, PlacingRule>();
  const last: {
    returned?: JobRecord['returned'];
    shared?: JobRecord['shared'];
    kept?: JobRecord['kept'];
    done?: JobLine;
  } = {};
  for (const line of lines) {
    if (line.type === 'placing') placing.set(line.root, line.rule);
    else if (line.type === 'returned') last.returned = line;
    else if (line.type === 'shared') last.shared = line;
    else if (line.type === 'kept') last.kept = line;
    else if (line.type === 'done') last.done = line;
  }
  return {
    run,
    placing,
    returned: last.returned,
    shared: last.shared,
    kept: last.kept,
    done: last.done?.type === 'done' ? last.done.done : undefined,
  };
}

function parseLine(text: string): JobLine | undefined {
  try {
    const line = jobLine.safeParse(JSON.parse(text));
    return line.success ? line.data : undefined;
  } catch {
    return undefined;
  }
}

/** The jobs a link before this one left. What cannot be read is set aside as FILE.corrupt, with a word to `complain`. */
export function loadJobFiles(folder: string, complain: (what: string) => void): JobRecord[] {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
  } catch {
    return [];
  }
  const records: JobRecord[] = [];
  for (const name of names.sort()) {
    const path = join(folder, name);
    try {
      const text = readFileSync(path, 'utf8');
      const whole = text.slice(0, text.lastIndexOf('\n') + 1);
      // Nothing whole in it: the run was never ordered.
      if (whole === '') {
        rmSync(path, { force: true });
        continue;
      }
      if (whole.length < text.length) truncateSync(path, Buffer.byteLength(whole));
      const record = readRecord(whole);
      if (record !== undefined && name === `${record.run.plan.job}.jsonl`) records.push(record);
      else {
        renameSync(path, `${path}.corrupt`);
        complain(`${path} is no record of a job: it was set aside as ${name}.corrupt`);
      }
    } catch (thrown) {
      complain(`${path} cannot be read: ${messageOf(thrown)}`);
    }
  }
  return records;
}
