/** Runs a shell line on streams of given kinds by `rch-run record`, and gives what it said and how it ended. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export type Recorded = {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Set when it was ended for taking too long. */
  readonly late: boolean;
};

export type RecordOptions = {
  /** rch-run. */
  readonly recorder: string;
  /** The three letters of `rch-run record`. */
  readonly letters: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** A file that is standard input; /dev/null without. */
  readonly input: string | undefined;
  /** A folder for the two files. */
  readonly scratch: string;
};

/** ms for a run: the first remote one of a toolchain brings it over. */
const LONGEST = 600_000;

export function recorded(line: string, options: RecordOptions): Promise<Recorded> {
  const out = join(options.scratch, 'out');
  const err = join(options.scratch, 'err');
  const input = openSync(options.input ?? '/dev/null', 'r');
  const child = spawn(
    options.recorder,
    ['record', options.letters, out, err, '/bin/sh', '-c', line],
    { cwd: options.cwd, env: options.env, stdio: [input, 'ignore', 'inherit'] },
  );
  closeSync(input);
  return new Promise((resolve, reject) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, LONGEST);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      const read = (file: string): Buffer => {
        const bytes = readFileSync(file);
        rmSync(file);
        return bytes;
      };
      resolve({ stdout: read(out), stderr: read(err), code, signal, late });
    });
  });
}
