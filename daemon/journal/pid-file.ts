/** `daemon.pid_file`: a file that holds the daemon's pid while it runs, for service managers that want one. */
import { readFileSync, rmSync } from 'node:fs';
import { replaceFile } from '../../src/config/replace-file.ts';
import type { Complain } from './history.ts';

const own = `${process.pid}\n`;

export class PidFile {
  readonly #complain: Complain;
  #path: string | undefined;

  constructor(complain: Complain) {
    this.#complain = complain;
  }

  /** The file is there from now on; undefined: none. */
  set(path: string | undefined): void {
    if (path === this.#path) return;
    this.remove();
    this.#path = path;
    if (path === undefined) return;
    const written = replaceFile(path, own, { mode: 0o644, always: true });
    if (!written.ok) this.#complain(written.failure.reason);
  }

  /** Takes it away, unless another daemon has written its own there since. */
  remove(): void {
    const path = this.#path;
    this.#path = undefined;
    if (path === undefined) return;
    try {
      if (readFileSync(path, 'utf8') === own) rmSync(path);
    } catch {
      // It is gone already.
    }
  }
}
