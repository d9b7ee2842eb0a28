/** The terminal while a full-screen view has it: alternate screen and raw mode, given back whatever the end. */
import { writeSync } from 'node:fs';
import type { ReadStream, WriteStream } from 'node:tty';

/** xterm's private modes: 1049 the alternate screen, 25 the cursor, 7 wrapping, 2026 nothing is shown half drawn. */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[2J';
const LEAVE = '\u001b[0m\u001b[?7h\u001b[?25h\u001b[?1049l';
const BEGIN = '\u001b[?2026h';
const END = '\u001b[?2026l';

/** The descriptor of the terminal; a view of this kind is always on standard output. */
const STDOUT = 1;

const deadly = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

export type ScreenEvents = {
  readonly typed: (text: string) => void;
  /** The window has another size, or the screen has to be drawn anew. */
  readonly resized: () => void;
};

export class FullScreen {
  readonly #input: ReadStream;
  readonly #output: WriteStream;
  readonly #events: ScreenEvents;
  /** As it stands on the screen. */
  #shown: readonly string[] = [];
  #open = false;

  constructor(input: ReadStream, output: WriteStream, events: ScreenEvents) {
    this.#input = input;
    this.#output = output;
    this.#events = events;
  }

  get size(): { readonly rows: number; readonly columns: number } {
    return { rows: this.#output.rows, columns: this.#output.columns };
  }

  /** Takes the terminal; from here on no way out of this program leaves it behind as it is. */
  open(): void {
    for (const signal of deadly) process.on(signal, this.#die);
    process.on('exit', this.#restore);
    process.on('uncaughtException', this.#crash);
    process.on('SIGCONT', this.#resume);
    this.#output.on('resize', this.#resize);
    this.#input.on('data', this.#type);
    // A terminal that was hung up.
    this.#input.on('end', this.#hangUp).on('error', this.#hangUp);
    this.#output.on('error', this.#hangUp);
    this.#take();
  }

  /** Gives it back. */
  close(): void {
    this.#restore();
    for (const signal of deadly) process.off(signal, this.#die);
    process.off('exit', this.#restore);
    process.off('uncaughtException', this.#crash);
    process.off('SIGCONT', this.#resume);
    this.#output.off('resize', this.#resize);
    this.#input.off('data', this.#type);
    this.#input.pause();
  }

  /** Shows these lines from the top; each is as wide as the window at the most. Only what changed is written. */
  draw(lines: readonly string[]): void {
    if (!this.#open) return;
    const { rows } = this.size;
    const changed: string[] = [];
    for (let row = 0; row < rows; row++) {
      const line = lines[row] ?? '';
      // Erased first: behind a line as wide as the window the cursor still stands on its last column.
      if (this.#shown[row] !== line) changed.push(`\u001b[${row + 1};1H\u001b[2K${line}\u001b[0m`);
    }
    this.#shown = lines.slice(0, rows);
    if (changed.length > 0) this.#output.write(BEGIN + changed.join('') + END);
  }

  /** The next drawing writes everything. */
  forget(): void {
    this.#shown = [];
    if (this.#open) this.#output.write('\u001b[2J');
  }

  /** Ctrl-Z: back to the shell until it is continued. */
  suspend(): void {
    this.#restore();
    process.kill(process.pid, 'SIGTSTP');
  }

  #take(): void {
    this.#open = true;
    this.#shown = [];
    this.#input.setRawMode(true);
    this.#input.setEncoding('utf8');
    this.#input.resume();
    this.#output.write(ENTER);
  }

  readonly #restore = (): void => {
    if (!this.#open) return;
    this.#open = false;
    try {
      this.#input.setRawMode(false);
      // Not by the stream: at the exit of a process nothing waits for what it holds.
      writeSync(STDOUT, LEAVE);
    } catch {
      // The terminal is gone.
    }
  };

  readonly #type = (data: string | Buffer): void => {
    this.#events.typed(data.toString());
  };

  readonly #resize = (): void => {
    this.forget();
    this.#events.resized();
  };

  readonly #resume = (): void => {
    if (this.#open) return;
    this.#take();
    this.#events.resized();
  };

  /** As whoever sent the signal expects it. */
  readonly #die = (signal: NodeJS.Signals): void => {
    this.close();
    process.kill(process.pid, signal);
  };

  readonly #hangUp = (): void => {
    this.#die('SIGHUP');
  };

  readonly #crash = (thrown: unknown): void => {
    this.close();
    const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    writeSync(2, `rch: ${text}\n`);
    process.exit(70);
  };
}
