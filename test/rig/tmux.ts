/** A program in a real terminal: a pane of a tmux of its own, typed into and looked at. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clear } from './processes.ts';

export type Size = { readonly columns: number; readonly rows: number };

export class Tmux {
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(folder: string, env: NodeJS.ProcessEnv) {
    this.#folder = folder;
    this.#env = env;
  }

  /** Runs a line of shell in a pane of that size. */
  static open(line: string, { columns, rows }: Size, env: NodeJS.ProcessEnv): Tmux {
    const folder = mkdtempSync(join(tmpdir(), 'rch-tmux-'));
    const tmux = new Tmux(folder, env);
    const size = ['-x', String(columns), '-y', String(rows)];
    tmux.#run('-f', '/dev/null', 'new-session', '-d', ...size, line);
    return tmux;
  }

  /** The screen, a line a row; with sequences for its colours where `colors`. */
  screen(colors = false): string {
    return this.#run('capture-pane', '-p', ...(colors ? ['-e'] : []));
  }

  /** Types keys by tmux's names (Enter, Down, C-c), or characters. */
  type(...keys: readonly string[]): void {
    this.#run('send-keys', ...keys);
  }

  resize({ columns, rows }: Size): void {
    this.#run('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /** Whether the alternate screen is shown, and the cursor. */
  get modes(): { readonly alternate: boolean; readonly cursor: boolean } {
    const [alternate, cursor] = this.#run('display', '-p', '#{alternate_on} #{cursor_flag}')
      .trim()
      .split(' ');
    return { alternate: alternate === '1', cursor: cursor === '1' };
  }

  /** The process that the pane's shell runs now. */
  get child(): number {
    const pid = this.#run('display', '-p', '#{pane_pid}').trim();
    const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ');
    return Number(child);
  }

  close(): void {
    try {
      this.#run('kill-server');
    } catch {
      // It ended with its last pane.
    }
    clear(this.#folder);
  }

  #run(...args: readonly string[]): string {
    return execFileSync('tmux', ['-u', '-S', join(this.#folder, 's'), ...args], {
      encoding: 'utf8',
      env: this.#env,
    });
  }
}
