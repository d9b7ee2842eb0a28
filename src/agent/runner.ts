/** One `rch-run` process as seen from the agent: a spec in, the tool's streams and its end out. */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { encode } from '../protocol/codec.ts';
import { FrameReader } from '../protocol/frames.ts';
import { runMessages, type RunMessage, type RunSpec } from '../protocol/run.ts';

export type RunnerEvents = {
  readonly message: (message: RunMessage) => void;
  /** The process is gone, and with it all of the job. Comes last, once. */
  readonly gone: () => void;
};

/** Diagnostics of `rch-run` itself that are kept, bytes. */
const MOST_WORDS = 4096;

export class Runner {
  readonly #child: ChildProcess;
  readonly #channel: Duplex;
  /** What rch-run (or bubblewrap around it) said on its own stderr. */
  words = '';

  /** `argv`: rch-run, or a program that runs it with descriptor 3 kept. */
  constructor(argv: readonly [string, ...string[]], spec: RunSpec, events: RunnerEvents) {
    const [program, ...rest] = argv;
    const child = spawn(program, rest, {
      cwd: '/',
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#child = child;
    this.#channel = child.stdio[3] as Duplex;
    this.#channel.on('error', () => undefined);
    child.stderr?.on('data', (data: Buffer) => {
      this.words = (this.words + data.toString('utf8')).slice(0, MOST_WORDS);
    });
    this.#listen(events);
    this.#send(spec);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(message: RunMessage): void {
    if (!this.#channel.destroyed) this.#send(message);
  }

  /** Ends every process of the job: rch-run does it when its channel closes, or with its own death. */
  kill(): void {
    this.send({ type: 'kill' });
    this.#channel.end();
    // Should it hang: init dies with rch-run, and with init all of the namespace.
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    this.#child.once('close', () => {
      clearTimeout(timer);
    });
  }

  #send(message: RunMessage): void {
    this.#channel.write(encode(runMessages, message));
  }

  #listen(events: RunnerEvents): void {
    const reader = new FrameReader(runMessages);
    let over = false;
    const gone = (): void => {
      if (over) return;
      over = true;
      events.gone();
    };
    this.#channel.on('data', (chunk: Buffer) => {
      const messages = reader.push(chunk);
      if (!messages.ok) this.kill();
      else for (const message of messages.value) events.message(message);
    });
    this.#child.on('close', gone);
    this.#child.on('error', (error) => {
      this.words = error.message;
      if (this.#child.pid === undefined) gone();
    });
  }
}
