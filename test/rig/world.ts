/** A user's world in a temporary folder: an installation, a HOME, workers, and commands run through the shims. */
import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { layoutFor } from '../../src/base/layout.ts';
import { DaemonClient } from '../../src/client/daemon-client.ts';
import type { WorkerStatus } from '../../src/protocol/methods.ts';
import { clear, goneFrom } from './processes.ts';
import { spread } from './spread.ts';

const top = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const builtLib = join(top, 'dist', 'lib');

export type Ended = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
};

export type RunOptions = {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: Buffer | string;
  /** Standard input is /dev/null: such commands may share one run. */
  readonly noInput?: boolean;
  /** Through the shims (default), or with the real tools. */
  readonly shims?: boolean;
  /** In a process group of its own, so that a signal can be sent to all of it. */
  readonly detached?: boolean;
};

/** An account of this machine by its numbers. */
export type Account = { readonly uid: number; readonly gid: number };

/** The fields of a history record that tests look at. */
export type HistoryRow = {
  readonly id: string;
  readonly command: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly decision: 'remote' | 'local';
  readonly reason: string;
  readonly worker: string | null;
  readonly exit: number | null;
  readonly signal: number | null;
  readonly phases: Readonly<Record<string, number>>;
  readonly bytes: { readonly sent: number; readonly received: number; readonly output: number };
  readonly joined?: string;
  /** ISO 8601. */
  readonly startedAt: string;
};

export class World {
  readonly root: string;
  readonly home: string;
  readonly data: string;
  readonly env: Readonly<Record<string, string>>;
  readonly #children = new Set<ChildProcess>();
  /** Whose world it is, when it is not ours. */
  readonly #account: Account | undefined;

  private constructor(root: string, account: Account | undefined) {
    this.root = root;
    this.#account = account;
    this.home = join(root, 'home');
    this.data = join(this.home, '.local', 'share', 'rch');
    const system = process.env['PATH'] ?? '/usr/bin:/bin';
    this.env = {
      HOME: this.home,
      PATH: system,
      LANG: 'C.UTF-8',
      TERM: 'xterm-256color',
      USER: process.env['USER'] ?? 'root',
      RUSTUP_HOME: process.env['RUSTUP_HOME'] ?? join(process.env['HOME'] ?? '/root', '.rustup'),
      CARGO_HOME: process.env['CARGO_HOME'] ?? join(process.env['HOME'] ?? '/root', '.cargo'),
      // Not RUSTUP_AUTO_INSTALL: rustup does more where it isn't switched off, and nobody's is.
      // A registry that fails for a moment is asked again.
      CARGO_NET_RETRY: '10',
      ...pass('RUSTUP_TOOLCHAIN', 'CARGO_HTTP_CAINFO', 'SSL_CERT_FILE'),
    };
  }

  /** A fresh world with an installation of the build; `workers` is the text of workers.toml. */
  static async create(workers: string, config = '', account?: Account): Promise<World> {
    const world = new World(spread(mkdtempSync(join(tmpdir(), 'rch-world-'))), account);
    const lib = join(world.data, 'lib');
    mkdirSync(join(world.data, 'run'), { recursive: true, mode: 0o700 });
    cpSync(builtLib, lib, { recursive: true });
    symlinkSync(process.execPath, join(lib, 'node'));
    spread(world.home);
    const folders = {
      config: join(world.home, '.config', 'rch'),
      state: join(world.home, '.local', 'state', 'rch'),
      cache: join(world.home, '.cache', 'rch'),
    };
    writeFileSync(join(lib, 'layout.json'), JSON.stringify(folders));
    mkdirSync(folders.config, { recursive: true });
    world.writeConfig('workers.toml', workers);
    if (config !== '') world.writeConfig('config.toml', config);
    world.own(world.root);
    await world.rch(['shim', 'install', '--no-profile']);
    return world;
  }

  writeConfig(name: string, text: string): void {
    const file = join(this.home, '.config', 'rch', name);
    // As editors do: what is written in place is given a moment before it holds.
    writeFileSync(`${file}.new`, text);
    chmodSync(`${file}.new`, 0o600);
    this.own(`${file}.new`);
    renameSync(`${file}.new`, file);
  }

  /** Gives a file, or a folder with all that is in it, to the world's user. */
  own(path: string): void {
    if (this.#account === undefined) return;
    const { uid, gid } = this.#account;
    execFileSync('chown', ['-hR', `${uid}:${gid}`, path]);
  }

  /** Runs the command line of rch; throws when it fails. */
  rch(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      execFile(
        process.execPath,
        [join(this.data, 'lib', 'rch.mjs'), ...args],
        { env: { ...this.env, ...env }, cwd: '/', maxBuffer: 1e8, ...this.#account },
        (error, stdout, stderr) => {
          if (error === null) resolve(stdout);
          else reject(new Error(`rch ${args.join(' ')}: ${stderr}${stdout}`));
        },
      );
    });
  }

  async start(): Promise<void> {
    await this.rch(['daemon', 'start']);
  }

  /** As `rch history --json` has it, newest first; asked here, since a process for each would be a tenth of all tests. */
  async history(n = 20): Promise<HistoryRow[]> {
    // A daemon talks to its own user alone.
    const client =
      this.#account === undefined
        ? await DaemonClient.connect(layoutFor(this.env, this.data))
        : undefined;
    if (client?.ok !== true)
      return JSON.parse(await this.rch(['history', '--json', '-n', String(n)])) as HistoryRow[];
    const records = await client.value.call('history', { n, slow: false, failed: false });
    client.value.close();
    if (!records.ok) throw new Error(records.failure.reason);
    return records.value as HistoryRow[];
  }

  /** How the workers of the daemon that runs are. */
  async workers(): Promise<readonly WorkerStatus[]> {
    const client = await DaemonClient.connect(layoutFor(this.env, this.data));
    if (!client.ok) throw new Error('no daemon runs');
    const workers = await client.value.call('workers', {});
    client.value.close();
    if (!workers.ok) throw new Error(workers.failure.reason);
    return workers.value;
  }

  /** The environment in which the shims are first on PATH. */
  shimEnv(env: Readonly<Record<string, string>> = {}): Record<string, string> {
    return { ...this.env, PATH: `${join(this.data, 'shims')}:${this.env['PATH'] ?? ''}`, ...env };
  }

  spawn(argv: readonly string[], options: RunOptions): ChildProcess {
    const [program, ...args] = argv;
    if (program === undefined) throw new Error('nothing to run');
    const env =
      options.shims === false ? { ...this.env, ...options.env } : this.shimEnv(options.env);
    const child = spawn('/usr/bin/env', [program, ...args], {
      cwd: options.cwd,
      env,
      detached: options.detached ?? false,
      stdio: [options.noInput === true ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      ...this.#account,
    });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    return child;
  }

  run(argv: readonly string[], options: RunOptions): Promise<Ended> {
    const child = this.spawn(argv, options);
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input ?? '');
    return ended(child);
  }

  /** Stops the daemon, waits for what ends with it, and removes the world. */
  async dispose(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    if (existsSync(join(this.data, 'lib', 'rch.mjs')))
      await this.rch(['daemon', 'stop']).catch(() => '');
    // An agent that is at the end of its work there makes files where others were just removed.
    await goneFrom(this.root);
    clear(this.root);
  }
}

/** All that a process writes, and its end. */
export function ended(child: ChildProcess): Promise<Ended> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      resolve({ code, signal, stdout: Buffer.concat(out), stderr: Buffer.concat(err) });
    });
  });
}

function pass(...names: string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
