/** What all benchmarks stand on: one worker, an installation of rch, and shells here and there. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Fleet, knownHostsOf, type FleetWorker } from '../../test/rig/fleet.ts';
import { spread } from '../../test/rig/spread.ts';
import { World, type HistoryRow } from '../../test/rig/world.ts';
import { quote, TimedShell, type Timed } from './timed-shell.ts';

const execute = promisify(execFile);

/** A command run through rch, and what its daemon wrote down about it. */
export type Remote = Timed & { readonly row: HistoryRow };

export class Stage {
  readonly world: World;
  readonly worker: FleetWorker;
  /** A folder for this run. */
  readonly folder: string;
  /** A shell here with the shims first on PATH, whose commands go to the worker whatever they cost. */
  readonly here: TimedShell;
  /** A shell on the worker, as its account. */
  readonly there: TimedShell;
  /** `ssh …` to the worker over a warm ControlMaster. */
  readonly ssh: readonly string[];
  readonly #fleet: Fleet;
  readonly #verbose: boolean;
  #closed = false;

  private constructor(fleet: Fleet, world: World, verbose: boolean) {
    const folder = mkdtempSync(join(tmpdir(), 'rch-bench-'));
    this.#fleet = fleet;
    this.#verbose = verbose;
    this.world = world;
    this.folder = folder;
    this.worker = fleet.worker(0);
    const { worker } = this;
    this.ssh = [
      'ssh',
      ...[
        '-F',
        'none',
        '-o',
        'IdentitiesOnly=yes',
        '-o',
        `UserKnownHostsFile=${worker.knownHosts}`,
      ],
      ...['-o', 'ControlMaster=auto', '-o', `ControlPath=${folder}/master`],
      ...['-o', 'ControlPersist=yes', '-i', worker.identityFile],
    ];
    this.here = new TimedShell([], world.shimEnv({ RCH_FORCE_REMOTE: '1' }));
    this.there = new TimedShell([...this.ssh, this.address]);
  }

  get address(): string {
    return `${this.worker.user}@${this.worker.host}`;
  }

  /** A folder for projects that are made once and kept. */
  static get kept(): string {
    const folder = join(homedir(), '.cache', 'rch-bench');
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  static async set(verbose: boolean): Promise<Stage> {
    // As a user's projects: below a home. Of /tmp a job has its own, in which the way to its roots has to be made.
    process.env['TMPDIR'] = join(Stage.kept, 'tmp');
    mkdirSync(process.env['TMPDIR'], { recursive: true });
    spread(process.env['TMPDIR']);
    const fleet = await Fleet.up('bench', 1, { packages: ['rsync'] });
    try {
      // More slots than cores: the benchmark of four streaming builds has them all on one worker.
      const world = await World.create(`${fleet.workersToml()}total_slots = 8\n`);
      world.writeConfig('known_hosts', fleet.knownHosts());
      await world.start();
      return new Stage(fleet, world, verbose);
    } catch (thrown) {
      await fleet.release();
      throw thrown;
    }
  }

  /** Where a folder of the worker's account is seen from here. */
  seen(path: string): string {
    return join(this.worker.root, path);
  }

  /** A world of its own, whose way to the worker leads over another address; its daemon runs. */
  async worldAt(at: { readonly host: string; readonly port: number }): Promise<World> {
    const world = await World.create(`${this.#fleet.workersToml(() => at)}total_slots = 8\n`);
    try {
      world.writeConfig('known_hosts', knownHostsOf(this.worker, `[${at.host}]:${at.port}`));
      await world.start();
      return world;
    } catch (thrown) {
      await world.dispose();
      throw thrown;
    }
  }

  /** A line on stderr, where details were asked for. */
  detail(text: string): void {
    if (this.#verbose) process.stderr.write(`${text}\n`);
  }

  /** Runs a command through the shims; throws unless it ran on the worker and ended well. */
  async remote(cwd: string, command: string): Promise<Remote> {
    const done = await this.here.run(`cd ${quote(cwd)} && ${command}`);
    const [row] = await this.world.history(1);
    if (row === undefined) throw new Error('the daemon has no history');
    if (done.code !== 0) throw new Error(`${command}: exit ${done.code}: ${done.output}`);
    if (row.decision !== 'remote') throw new Error(`${command} ran here: ${row.reason}`);
    const phases = Object.entries(row.phases).map(([name, value]) => `${name} ${value.toFixed(0)}`);
    this.detail(`${command}: ${done.took.toFixed(0)} ms (${phases.join(', ')})`);
    return { ...done, row };
  }

  /** Gives the worker's account a copy of a folder here, times included. */
  async copyThere(from: string, name: string): Promise<string> {
    const to = `/home/${this.worker.user}/${name}`;
    await execute('cp', ['-a', from, this.seen(to)]);
    await execute('chown', ['-R', `${this.worker.uid}:${this.worker.uid}`, this.seen(to)]);
    return to;
  }

  async clear(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.here.close();
    await this.there.close();
    await execute(this.ssh[0] ?? 'ssh', [...this.ssh.slice(1), '-O', 'exit', this.address]).catch(
      () => undefined,
    );
    await this.world.dispose();
    if (existsSync(this.folder)) rmSync(this.folder, { recursive: true, force: true });
    await this.#fleet.release();
  }
}
