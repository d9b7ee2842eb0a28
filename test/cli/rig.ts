/** An installation of the build in a world of its own, and the command line run in it with its end and output. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { World } from '../rig/world.ts';

export type Said = {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
};

export class Line {
  readonly world: World;

  private constructor(world: World) {
    this.world = world;
  }

  static async create(workers = ''): Promise<Line> {
    return new Line(await World.create(workers));
  }

  get shims(): string {
    return join(this.world.data, 'shims');
  }

  config(name: string): string {
    return join(this.world.home, '.config', 'rch', name);
  }

  /** Runs `rch ARGS`, whatever its end. */
  say(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    cwd = '/',
  ): Promise<Said> {
    const program = join(this.world.data, 'lib', 'rch.mjs');
    const child = spawn(process.execPath, [program, ...args], {
      cwd,
      env: { ...this.world.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
    return new Promise((resolve) => {
      child.once('close', (code, signal) => {
        resolve({ code, signal, out, err });
      });
    });
  }

  /** The facts of `rch ARGS --json`. */
  async facts(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<unknown> {
    return JSON.parse((await this.say([...args, '--json'], env)).out);
  }
}
