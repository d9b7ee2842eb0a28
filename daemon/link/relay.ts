/** Passes a job's streams between its launcher and the agent, and knows how far each has come. */
import type { AgentMessage } from '../../src/protocol/agent.ts';
import { OutStream, type ShimMessage } from '../../src/protocol/shim.ts';
import type { AgentClient } from './agent-client.ts';
import type { Interruption } from './interruption.ts';

/**
 * Bytes of a stream that an agent may send beyond what the launcher has written: its own window is 4 MiB. More is no
 * agent of ours, and would fill our memory.
 */
const MOST_AHEAD = 16n * 1024n * 1024n;
/** Signals that are sent again after a reconnect; a person sends no more of them at once. */
const SIGNALS_KEPT = 16;

type JobMessage = Extract<AgentMessage, { job: Buffer }>;

/** What the launcher said, as the agent is told it; undefined for what is not for the agent. */
export function agentMessageFor(job: Buffer, message: ShimMessage): JobMessage | undefined {
  switch (message.type) {
    case 'outAck':
      return { type: 'outAck', job, stream: message.stream, offset: message.offset };
    case 'stdin':
      return { type: 'stdin', job, offset: message.offset, data: message.data };
    case 'stdinEof':
      return { type: 'stdinEof', job, offset: message.offset };
    case 'ttyInput':
      return { type: 'ttyInput', job, want: message.want, data: message.data };
    case 'signal':
      return { type: 'signal', job, signo: message.signo, count: message.count };
    case 'resize': {
      const { rows, cols, xpixel, ypixel } = message;
      return { type: 'resize', job, rows, cols, xpixel, ypixel };
    }
    case 'outClosed':
      return { type: 'outClosed', job, stream: message.stream };
    default:
      return undefined;
  }
}

export class Relay {
  /** Bytes of output that came from the tool. */
  output = 0;
  /** What the launcher is to become (cargo run), once the agent said so. */
  program: Extract<ShimMessage, { type: 'execHere' }> | undefined;
  readonly #job: Buffer;
  readonly #agent: Pick<AgentClient, 'send'>;
  readonly #interruption: Pick<Interruption, 'passed'>;
  readonly #written = new Map<number, bigint>();
  #stdinAt = 0n;
  /** Standard input the tool has not taken yet: a connection that breaks may swallow it, so it can be sent again. */
  #stdin: Extract<JobMessage, { type: 'stdin' | 'stdinEof' }>[] = [];
  /** What was typed and sent last: a connection that breaks may swallow these, and the agent takes each once. */
  #line: Extract<JobMessage, { type: 'ttyInput' }> | undefined;
  #signals: Extract<JobMessage, { type: 'signal' }>[] = [];
  /** What came before the agent could take it. */
  #early: JobMessage[] | undefined = [];

  /** `interruption` hears of all that the agent is told, or will be. */
  constructor(
    job: Buffer,
    agent: Pick<AgentClient, 'send'>,
    interruption: Pick<Interruption, 'passed'>,
  ) {
    this.#job = job;
    this.#agent = agent;
    this.#interruption = interruption;
  }

  /** The tool runs: what was held goes out. */
  start(): void {
    const held = this.#early ?? [];
    this.#early = undefined;
    const typed = this.#line === undefined ? [] : [this.#line];
    for (const message of [...this.#stdin, ...this.#signals, ...typed, ...held])
      this.#agent.send(message);
  }

  /** The agent is away: hold what comes until `attach` was sent. */
  pause(): void {
    this.#early ??= [];
  }

  toAgent(message: JobMessage): void {
    if (message.type === 'outAck') this.#written.set(message.stream, message.offset);
    const kept = this.#keep(message);
    if (this.#early === undefined) this.#agent.send(message);
    else if (!kept && message.type !== 'outAck') this.#early.push(message);
    this.#interruption.passed(message);
  }

  /** True for what is kept to be sent again after a reconnect. */
  #keep(message: JobMessage): boolean {
    if (message.type === 'stdin' || message.type === 'stdinEof') this.#stdin.push(message);
    else if (message.type === 'ttyInput') this.#line = message;
    else if (message.type === 'signal')
      this.#signals = [...this.#signals, message].slice(-SIGNALS_KEPT);
    else return false;
    return true;
  }

  /** The launcher will take no more: what others recorded is as good as written. */
  acknowledge(stream: number, offset: bigint): void {
    this.toAgent({ type: 'outAck', job: this.#job, stream, offset });
  }

  /** Whether the agent sends more than anybody asked for. */
  floods({ stream, offset, data }: Extract<AgentMessage, { type: 'out' }>): boolean {
    return offset + BigInt(data.length) > this.written(stream) + MOST_AHEAD;
  }

  /** How far the launcher has written a stream. */
  written(stream: number): bigint {
    return this.#written.get(stream) ?? 0n;
  }

  resumed(message: Extract<ShimMessage, { type: 'resume' }>): void {
    this.#written.set(OutStream.stdout, message.stdoutAt);
    this.#written.set(OutStream.stderr, message.stderrAt);
    this.#written.set(OutStream.terminal, message.terminalAt);
    this.#stdinAt = message.stdinAt;
  }

  /** Asks the agent to go on from what the launcher has; afterwards nothing is held any more. */
  attach(): AgentMessage {
    this.#early ??= [];
    queueMicrotask(() => {
      this.start();
    });
    return {
      type: 'attach',
      job: this.#job,
      stdoutAt: this.written(OutStream.stdout),
      stderrAt: this.written(OutStream.stderr),
      terminalAt: this.written(OutStream.terminal),
      stdinAt: this.#stdinAt,
    };
  }

  /** A program to be run here; `folders` (latin1) are those of the command's own. False: it is none of theirs. */
  execHere(
    message: Extract<AgentMessage, { type: 'execHere' }>,
    folders: readonly string[],
  ): boolean {
    const { path, cwd, argv, setEnv, unsetEnv } = message;
    const name = path.toString('latin1');
    if (name.split('/').includes('..') || !folders.some((folder) => name.startsWith(`${folder}/`)))
      return false;
    this.program = { type: 'execHere', path, cwd, argv, setEnv, unsetEnv };
    return true;
  }

  /** What the agent said about streams, as the launcher is told it. */
  fromAgent(message: JobMessage): ShimMessage | undefined {
    switch (message.type) {
      case 'out':
        this.output += message.data.length;
        return { type: 'out', stream: message.stream, offset: message.offset, data: message.data };
      case 'stdinUsed':
        this.#stdinAt = message.offset;
        this.#stdin = this.#stdin.filter(
          (sent) =>
            sent.type === 'stdinEof' || sent.offset + BigInt(sent.data.length) > message.offset,
        );
        return { type: 'stdinUsed', offset: message.offset };
      case 'ttyWant':
        return { type: 'ttyWant', want: message.want };
      case 'ttyModes':
        return { type: 'ttyModes', termios: message.termios };
      case 'stopped':
        return { type: 'stopped', signo: message.signo };
      default:
        return undefined;
    }
  }
}
