/** A bash that stays open, here or on a worker, and says when each command began and ended by its own clock. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';

export type Timed = {
  /** ms since the epoch, with a fraction. */
  readonly from: number;
  readonly till: number;
  /** ms */
  readonly took: number;
  readonly code: number;
  /** stdout and stderr. */
  readonly output: string;
};

/** Reads commands by the line; answers each by its times and exit code, then the size of its output and the output. */
const LOOP = `out=$(mktemp); trap 'rm -f "$out"' EXIT
while IFS= read -r line; do
  from=$EPOCHREALTIME
  (eval "$line") >"$out" 2>&1 </dev/null
  code=$?
  till=$EPOCHREALTIME
  printf '%s %s %s %s\\n' "$from" "$till" "$code" "$(base64 -w 0 <"$out")"
done`;

export class TimedShell {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;

  /**
   * `before`: what leads to the shell, such as `ssh HOST`; its words are joined by whoever takes them. `detached`: in a
   * session of its own.
   */
  constructor(
    before: readonly string[],
    env: Readonly<Record<string, string>> = {},
    detached = false,
  ) {
    const remote = before.length > 0;
    const argv = [...before, 'bash', '-c', remote ? quote(LOOP) : LOOP];
    this.#child = spawn(argv[0] ?? 'bash', argv.slice(1), {
      env: remote ? process.env : env,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached,
    });
    this.#child.stderr.on('data', (chunk: Buffer) => process.stderr.write(chunk));
    this.#lines = createInterface({ input: this.#child.stdout });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Runs a command of one line. */
  async run(command: string): Promise<Timed> {
    if (command.includes('\n')) throw new Error('a command of one line, please');
    const answer = once(this.#lines, 'line') as Promise<[string]>;
    this.#child.stdin.write(`${command}\n`);
    const [line] = await answer;
    const [from = '', till = '', code = '', output = ''] = line.split(' ');
    const at = (text: string): number => Number(text.replace(',', '.')) * 1000;
    return {
      from: at(from),
      till: at(till),
      took: at(till) - at(from),
      code: Number(code),
      output: Buffer.from(output, 'base64').toString('utf8'),
    };
  }

  /** Like `run`, for what must not fail. */
  async must(command: string): Promise<Timed> {
    const done = await this.run(command);
    if (done.code !== 0) throw new Error(`${command}: exit ${done.code}: ${done.output}`);
    return done;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.stdin.end();
    // A command that still runs is not waited for.
    this.#child.kill('SIGTERM');
    await gone;
  }
}

/** A word as a POSIX shell reads it back. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
