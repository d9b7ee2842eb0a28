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

/** rch-run, or a program that runs it with descriptor 3 kept. */
export type RunnerArgv = readonly [string, ...string[]];

export class Runner {
  readonly #child: ChildProcess;
  readonly #channel: Duplex;
  #events: RunnerEvents | undefined;
  #gone = false;
  /** What rch-run (or bubblewrap around it) said on its own stderr. */
  words = '';

  /** The process waits for its spec. */
  constructor([program, ...rest]: RunnerArgv) {
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
    this.#listen();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Whether the process is there and has not been given a spec. */
  get waits(): boolean {
    const { pid, exitCode, signalCode } = this.#child;
    const lives = pid !== undefined && exitCode === null && signalCode === null;
    return lives && !this.#gone && this.#events === undefined;
  }

  /** Gives it its job; where the process could not be made, or is gone, `gone` follows. */
  start(spec: RunSpec, events: RunnerEvents): void {
    this.#events = events;
    if (this.#gone) setImmediate(events.gone);
    else this.#send(spec);
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

  #listen(): void {
    const reader = new FrameReader(runMessages);
    const gone = (): void => {
      if (this.#gone) return;
      this.#gone = true;
      this.#events?.gone();
    };
    this.#channel.on('data', (chunk: Buffer) => {
      const messages = reader.push(chunk);
      if (!messages.ok) this.kill();
      else for (const message of messages.value) this.#events?.message(message);
    });
    this.#child.on('close', gone);
    this.#child.on('error', (error) => {
      this.words = error.message;
      if (this.#child.pid === undefined) gone();
    });
  }
}

/** ms after the end of a job that the next process is made: what the job still has to say goes first. */
const AFTER = 5;

/** Keeps one process ready: to make one from a program of our size holds up everything else for some 4 ms. */
export class Runners {
  readonly #program: string;
  #spare: Runner | undefined;
  #making: NodeJS.Timeout | undefined;
  /** Whether the last job would have been served by a process that was ready. */
  #wanted = false;

  /** `program`: `rch-run`. */
  constructor(program: string) {
    this.#program = program;
  }

  /** A process for a job, the one that is ready where it needs no other words; `note` it down before it is started. */
  take(argv: RunnerArgv, note: (pid: number | undefined) => void): Runner {
    const runner = this.#take(argv);
    try {
      note(runner.pid);
    } catch (thrown) {
      runner.kill();
      throw thrown;
    }
    return runner;
  }

  #take(argv: RunnerArgv): Runner {
    const spare = this.#spare;
    this.#wanted = argv.length === 1 && argv[0] === this.#program;
    if (!this.#wanted || spare?.waits !== true) return new Runner(argv);
    this.#spare = undefined;
    return spare;
  }

  /** A job has ended: another may come. */
  ready(): void {
    if (!this.#wanted) return;
    this.#making ??= setTimeout(() => {
      this.#making = undefined;
      if (this.#spare?.waits === true) return;
      try {
        this.#spare = new Runner([this.#program, 'wait']);
      } catch {
        // No descriptors or no memory now: the next job makes its own, or is refused.
      }
    }, AFTER).unref();
  }

  /** There will be no job for a while. */
  rest(): void {
    clearTimeout(this.#making);
    this.#making = undefined;
    this.#wanted = false;
    this.#spare?.kill();
    this.#spare = undefined;
  }
}
