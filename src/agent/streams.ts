/** The streams of one job between `rch-run` and whoever listens: what the launcher has not acknowledged is kept. */
import { Tail } from '../base/tail.ts';
import type { AgentMessage } from '../protocol/agent.ts';
import type { RunMessage } from '../protocol/run.ts';
import { OutStream } from '../protocol/shim.ts';
import { Output } from './output.ts';
import type { Listener } from './owner.ts';

/** Bytes of the end of each stream that are kept to learn from. */
const TAIL_BYTES = 8 * 1024;

type FromLink = Extract<
  AgentMessage,
  {
    type:
      | 'outAck'
      | 'stdin'
      | 'stdinEof'
      | 'ttyInput'
      | 'signal'
      | 'resize'
      | 'outClosed'
      | 'attach';
  }
>;
type FromRun = Extract<
  RunMessage,
  { type: 'out' | 'stdinUsed' | 'ttyWant' | 'ttyModes' | 'stopped' }
>;

export class Streams {
  readonly #job: Buffer;
  readonly #toRun: (message: RunMessage) => void;
  readonly #outputs = new Map<number, Output>([
    [OutStream.stdout, new Output()],
    [OutStream.stderr, new Output()],
    [OutStream.terminal, new Output()],
  ]);
  #listener: Listener | undefined;
  #stdinEnd = 0n;
  #stdinUsed = 0n;
  #wanted = false;
  /** The number of the last want, and of the last that was answered; of the last signal. */
  #wants = 0;
  #answered = 0;
  #signals = 0;
  #modes: Buffer | undefined;
  #stopped: number | undefined;
  /** In the order in which they are read: what is said on stderr or the terminal counts as the last. */
  readonly #tails = new Map<number, Tail>([
    [OutStream.stdout, new Tail(TAIL_BYTES)],
    [OutStream.stderr, new Tail(TAIL_BYTES)],
    [OutStream.terminal, new Tail(TAIL_BYTES)],
  ]);

  constructor(job: Buffer, toRun: (message: RunMessage) => void) {
    this.#job = job;
    this.#toRun = toRun;
  }

  /** The ends of what the tool said, latin1: test frameworks complain on stdout, and stderr may be the same pipe. */
  get tail(): string {
    return [...this.#tails.values()]
      .map((tail) => tail.since(0).data.toString('latin1'))
      .join('\n');
  }

  /** Everything goes there from now on. */
  set listener(listener: Listener | undefined) {
    this.#listener = listener;
  }

  /** Tells a listener who begins anew all that it may have missed. */
  retell(from: Extract<AgentMessage, { type: 'attach' }>): void {
    this.#acknowledge(OutStream.stdout, from.stdoutAt);
    this.#acknowledge(OutStream.stderr, from.stderrAt);
    this.#acknowledge(OutStream.terminal, from.terminalAt);
    const job = this.#job;
    for (const [stream, output] of this.#outputs)
      for (const { offset, data } of output.held())
        this.#send({ type: 'out', job, stream, offset, data });
    if (this.#stdinUsed > from.stdinAt)
      this.#send({ type: 'stdinUsed', job, offset: this.#stdinUsed });
    if (this.#modes !== undefined) this.#send({ type: 'ttyModes', job, termios: this.#modes });
    if (this.#wanted) this.#send({ type: 'ttyWant', job, want: this.#wants });
    if (this.#stopped !== undefined) this.#send({ type: 'stopped', job, signo: this.#stopped });
  }

  fromRun(message: FromRun): void {
    const job = this.#job;
    switch (message.type) {
      case 'out':
        this.#out(message.stream, message.data);
        return;
      case 'stdinUsed':
        this.#stdinUsed = message.offset;
        this.#send({ type: 'stdinUsed', job, offset: message.offset });
        return;
      case 'ttyWant':
        this.#wanted = true;
        this.#wants += 1;
        this.#send({ type: 'ttyWant', job, want: this.#wants });
        return;
      case 'ttyModes':
        this.#modes = Buffer.from(message.termios);
        this.#send({ type: 'ttyModes', job, termios: this.#modes });
        return;
      case 'stopped':
        this.#stopped = message.signo;
        this.#send({ type: 'stopped', job, signo: message.signo });
        return;
    }
  }

  fromLink(message: Exclude<FromLink, { type: 'attach' }>): void {
    switch (message.type) {
      case 'outAck':
        this.#acknowledge(message.stream, message.offset);
        return;
      case 'outClosed':
        this.#toRun({ type: 'outClosed', stream: message.stream });
        this.#acknowledge(message.stream, this.#outputs.get(message.stream)?.end ?? 0n);
        return;
      case 'stdin':
        this.#stdin(message.offset, message.data);
        return;
      case 'stdinEof':
        if (message.offset === this.#stdinEnd)
          this.#toRun({ type: 'stdinEof', offset: message.offset });
        return;
      case 'ttyInput':
        if (message.want <= this.#answered) return;
        this.#answered = message.want;
        this.#wanted = false;
        this.#toRun({ type: 'ttyInput', data: message.data });
        return;
      case 'signal':
        if (message.count <= this.#signals) return;
        this.#signals = message.count;
        this.#stopped = undefined;
        this.#toRun({ type: 'signal', signo: message.signo });
        return;
      case 'resize': {
        const { rows, cols, xpixel, ypixel } = message;
        this.#toRun({ type: 'resize', rows, cols, xpixel, ypixel });
        return;
      }
    }
  }

  #out(stream: number, data: Buffer): void {
    const output = this.#outputs.get(stream);
    if (output === undefined) return;
    this.#tails.get(stream)?.add(data);
    const piece = output.add(data);
    this.#send({ type: 'out', job: this.#job, stream, ...piece });
  }

  #acknowledge(stream: number, offset: bigint): void {
    const bytes = this.#outputs.get(stream)?.acknowledge(offset) ?? 0;
    if (bytes > 0) this.#toRun({ type: 'credit', stream, bytes });
  }

  /** Standard input that was sent before (to a connection that was lost) is not given twice. */
  #stdin(offset: bigint, data: Buffer): void {
    if (offset > this.#stdinEnd) return;
    const known = this.#stdinEnd - offset;
    if (known >= BigInt(data.length)) return;
    this.#toRun({ type: 'stdin', offset: this.#stdinEnd, data: data.subarray(Number(known)) });
    this.#stdinEnd = offset + BigInt(data.length);
  }

  #send(message: AgentMessage): void {
    this.#listener?.send(message);
  }
}
