/** The command transport: any argv whose stdio reaches a shell on the worker, run once for each stream. */
import { basename } from 'node:path';
import { fail, type Result } from '../../src/base/result.ts';
import { childScript } from './child-script.ts';
import { shellCommand } from './quote.ts';
import type { Reach, RemoteScript } from './transport.ts';

/**
 * The argv that runs `script` on the worker. `{command}` in a word stands for the shell line; without it the words
 * `sh -c SCRIPT` are appended, or for ssh, which hands one string to the shell there, that line.
 */
export function commandArgv(command: readonly string[], script: string): readonly string[] {
  const line = shellCommand(script);
  if (command.some((word) => word.includes('{command}')))
    return command.map((word) => word.replaceAll('{command}', () => line));
  return basename(command[0] ?? '') === 'ssh'
    ? [...command, line]
    : [...command, 'sh', '-c', script];
}

/** Nothing is connected before the first script: each is a process of its own. */
export class CommandReach implements Reach {
  readonly closed: Promise<string>;
  readonly striped: boolean;
  readonly #argv: (script: string) => readonly string[];
  readonly #ended: () => void;
  #isClosed = false;
  #tellClosed: (reason: string) => void = () => undefined;

  /** `ended` is called once, when the reach is closed. */
  constructor(
    argv: (script: string) => readonly string[],
    {
      ended = () => undefined,
      striped = false,
    }: { readonly ended?: () => void; readonly striped?: boolean } = {},
  ) {
    this.#argv = argv;
    this.#ended = ended;
    this.striped = striped;
    this.closed = new Promise((resolve) => {
      this.#tellClosed = resolve;
    });
  }

  async run(script: string): Promise<Result<RemoteScript>> {
    if (this.#isClosed) return fail('the connection was closed');
    const started = await childScript(this.#argv(script));
    if (!started.ok) return started;
    const running = started.value;
    void this.closed.then(() => running.stream.destroy());
    return started;
  }

  close(): void {
    this.lost('the connection was closed here');
  }

  /** What carries the scripts is gone. */
  lost(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ended();
    this.#tellClosed(reason);
  }
}
