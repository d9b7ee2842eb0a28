/** The process of one link: forked, spoken to by checked messages, ended whole. */
import { fork, type ChildProcess } from 'node:child_process';
import { carryingNode } from '../../src/base/memory.ts';
import { linkToFront, type FrontToLink, type LinkToFront } from '../../src/protocol/ipc.ts';

/** ms after the deadline given to a link before it is killed: what is being placed is let end. */
const KILL_GRACE = 35_000;
/** ms for a link that is to leave at once. */
const LEAVE_GRACE = 3000;

export type LinkOptions = {
  /** link.mjs */
  readonly entry: string;
  readonly node: string;
  /** The worker's id, shown in the process list. */
  readonly worker: string;
  readonly onMessage: (message: LinkToFront) => void;
  /** Once, whatever the cause; `how` tells it in words. */
  readonly onExit: (how: string) => void;
  /** What the process printed, or said that could not be understood; by line. */
  readonly onComplaint: (line: string) => void;
};

export class LinkProcess {
  readonly #child: ChildProcess;
  readonly #options: LinkOptions;
  /** Whether it ended by itself, with exit 0. */
  readonly #exited: Promise<boolean>;
  #gone = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    const child = fork(options.entry, [options.worker], {
      execPath: options.node,
      execArgv: [...carryingNode],
      cwd: '/',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      serialization: 'json',
    });
    this.#child = child;
    child.on('message', (value: unknown) => {
      this.#receive(value);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n')) if (line !== '') options.onComplaint(line);
    });
    this.#exited = new Promise((resolve) => {
      const end = (how: string, well = false): void => {
        if (this.#gone) return;
        this.#gone = true;
        options.onExit(how);
        resolve(well);
      };
      child.once('error', (error) => {
        if (child.pid === undefined) end(`its link cannot be started: ${error.message}`);
      });
      child.once('exit', (code, signal) => {
        end(`its link process ended with ${signal ?? `exit ${code ?? 0}`}`, code === 0);
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** False when the process is gone. */
  send(message: FrontToLink): boolean {
    if (this.#gone || !this.#child.connected) return false;
    this.#child.send(message, (error) => {
      if (error !== null) this.#options.onComplaint(`not sent: ${error.message}`);
    });
    return true;
  }

  /**
   * Tells it to end within `deadlineMs`, and kills it when it does not; without one it ends with its last job. Settles
   * when it is gone, with whether it did so by itself.
   */
  async stop(deadlineMs: number | undefined): Promise<boolean> {
    const told = deadlineMs === undefined ? {} : { deadlineMs };
    if (!this.send({ type: 'stop', ...told })) this.kill();
    const timer =
      deadlineMs === undefined
        ? undefined
        : setTimeout(() => {
            this.kill();
          }, deadlineMs + KILL_GRACE);
    const well = await this.#exited;
    clearTimeout(timer);
    return well;
  }

  /** Tells it to go and leave its jobs to the next. Settles when it is gone. */
  async leave(): Promise<void> {
    if (!this.send({ type: 'leave' })) this.kill();
    const timer = setTimeout(() => {
      this.kill();
    }, LEAVE_GRACE);
    await this.#exited;
    clearTimeout(timer);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #receive(value: unknown): void {
    const message = linkToFront.safeParse(value);
    if (message.success) {
      this.#options.onMessage(message.data);
      return;
    }
    const issue = message.error.issues[0];
    this.#options.onComplaint(
      `not understood: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
    );
  }
}
