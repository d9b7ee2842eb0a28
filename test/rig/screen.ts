/** A command on a terminal of its own (test/shims/on-pty.c): what is typed, and what stands on its screen. */
import type { ChildProcess } from 'node:child_process';
import { compile } from '../shims/build.ts';
import type { RunOptions, World } from './world.ts';

/** ms that anything may take to appear. */
const PATIENCE = 60_000;

export class Screen {
  readonly #child: ChildProcess;
  readonly #chunks: Buffer[] = [];
  readonly #end: Promise<number | NodeJS.Signals>;
  #over = false;
  #from = 0;
  #wake: (() => void) | undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdin?.on('error', () => undefined);
    child.stdout?.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#wake?.();
    });
    this.#end = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#over = true;
        this.#wake?.();
        resolve(signal ?? code ?? -1);
      });
    });
  }

  /** 24 rows of 80. `shims` false: with the real tools. */
  static open(world: World, argv: readonly string[], options: RunOptions): Screen {
    const onPty = compile('test/shims/on-pty.c', 'plain', ['-lutil']);
    return new Screen(world.spawn([onPty, '24', '80', ...argv], options));
  }

  /** All that was written to the terminal so far. */
  get text(): string {
    return Buffer.concat(this.#chunks).toString('latin1');
  }

  /** Waits until `text` appears, after what was waited for before. */
  async sees(text: string): Promise<void> {
    for (;;) {
      const at = this.text.indexOf(text, this.#from);
      if (at >= 0) {
        this.#from = at + text.length;
        return;
      }
      if (this.#over) throw new Error(`ended without ${JSON.stringify(text)}: ${this.text}`);
      await this.#stir(text);
    }
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys);
  }

  /** Makes the window one row taller. */
  grow(): void {
    this.#child.kill('SIGUSR1');
  }

  /** Closes the window: the terminal is hung up. */
  async shut(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#end;
  }

  /** The end of the command. */
  async end(): Promise<number | NodeJS.Signals> {
    while (!this.#over) await this.#stir('its end');
    return this.#end;
  }

  #stir(what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(
          new Error(
            `in ${PATIENCE} ms never came ${JSON.stringify(what)}: ${this.text.slice(-2000)}`,
          ),
        );
      }, PATIENCE);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
