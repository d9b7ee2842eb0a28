/** Where chaos takes place: workers behind relays, one of them with a small disk, and an installation that uses them. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { daemonLog, layoutFor } from '../../src/base/layout.ts';
import { Fleet, Relay, type FleetWorker } from '../../test/rig/fleet.ts';
import { spread } from '../../test/rig/spread.ts';
import { World } from '../../test/rig/world.ts';
import { Marks } from '../storms/marks.ts';
import type { Runs } from './judge.ts';
import type { MarkAddress } from './project.ts';

/** Bytes of the disk of the first worker. */
const DISK = 900e6;
/** What is left of it when it is full. */
const LEFT = 60e6;

/** What the installation is configured by, but for its breaker. */
const common = `[daemon]
heartbeat_interval_sec = 1
drain_timeout_sec = 20
benchmark_interval_hours = 0
[execution]
resume_timeout_sec = 30
`;

/** With a breaker that never opens: whatever is lost, commands go on being sent. */
export const config = `${common}[breaker]
failure_threshold = 1000
`;

function argvOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
  } catch {
    return [];
  }
}

export class Site {
  readonly fleet: Fleet;
  readonly world: World;
  /** For projects. */
  readonly base: string;
  readonly relays: readonly Relay[];
  readonly #marks: Marks;
  readonly #shifts = new Map<string, bigint>();

  private constructor(fleet: Fleet, world: World, relays: readonly Relay[], marks: Marks) {
    this.fleet = fleet;
    this.world = world;
    this.relays = relays;
    this.#marks = marks;
    this.base = spread(mkdtempSync(join(tmpdir(), 'rch-chaos-')));
  }

  static async set(name: string, workers: number): Promise<Site> {
    const fleet = await Fleet.up(name, workers);
    const relays = await Promise.all(fleet.workers.map((worker) => Relay.open(worker)));
    const world = await World.create('', config);
    const site = new Site(fleet, world, relays, await Marks.open());
    const first = site.worker(0);
    const cache = `/home/${first.user}/.cache`;
    await fleet.inside(first, 'mkdir', '-p', cache);
    const options = `size=${DISK},uid=${first.uid},mode=700`;
    await fleet.inside(first, 'mount', '-t', 'tmpfs', '-o', options, 'tmpfs', cache);
    site.configure();
    world.writeConfig(
      'known_hosts',
      fleet.workers.map((worker, at) => site.#hostKey(worker, at)).join(''),
    );
    await world.start();
    await site.probe();
    return site;
  }

  worker(index: number): FleetWorker {
    return this.fleet.worker(index);
  }

  /** Waits until all workers are connected. */
  async probe(): Promise<void> {
    await Promise.all(this.fleet.workers.map(({ id }) => this.world.rch(['workers', 'probe', id])));
  }

  /** Where builds mark that they ran, as the workers and this machine reach it. */
  get markAddress(): MarkAddress {
    return { host: this.worker(0).host.replace(/\.2$/, '.1'), port: this.#marks.port };
  }

  /** How often a build ran, by its marks. */
  runs(name: string): Runs {
    const all = this.#marks.from(name);
    const there = all.filter((address) =>
      this.fleet.workers.some(({ host }) => address.endsWith(host)),
    );
    return { here: all.length - there.length, there: there.length };
  }

  /** From now on a worker that loses commands gets none for a while, as it does by default. */
  async useBreaker(): Promise<void> {
    this.world.writeConfig('config.toml', common);
    await this.probe();
  }

  /** Sets the clock of a worker, by what its agent is told to add. */
  setClock(index: number, shift: bigint): void {
    this.#shifts.set(this.worker(index).id, shift);
    this.configure();
  }

  /** Leaves little room on the disk of the first worker, or gives it back. */
  async fill(full: boolean): Promise<void> {
    const cache = `/home/${this.worker(0).user}/.cache`;
    const fill = `f=${cache}/filler; rm -f $f; free=$(df --output=avail -B1 ${cache} | tail -n 1); fallocate -l $((free - ${LEFT})) $f || true`;
    await this.fleet.inside(this.worker(0), 'sh', '-c', full ? fill : `rm -f ${cache}/filler`);
  }

  /** The process of the daemon that runs, as its lock says; undefined while there is none. */
  daemonPid(): number | undefined {
    try {
      const text = readFileSync(join(this.world.data, 'run', 'daemon.lock'), 'utf8');
      const pid = Number(text.split(' ')[0]);
      readFileSync(`/proc/${pid}/stat`);
      return pid > 0 ? pid : undefined;
    } catch {
      return undefined;
    }
  }

  /** What the daemon and its links wrote down since then (ms). */
  said(since: number): string {
    const text = readFileSync(daemonLog(layoutFor(this.world.env, this.world.data)), 'utf8');
    const from = new Date(since).toISOString();
    return text
      .split('\n')
      .filter((line) => (/"time":"([^"]*)"/.exec(line)?.[1] ?? '') >= from)
      .join('\n');
  }

  #childPids(): number[] {
    const daemon = this.daemonPid();
    if (daemon === undefined) return [];
    try {
      const children = readFileSync(`/proc/${daemon}/task/${daemon}/children`, 'utf8');
      return children.trim().split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  }

  /** The link of a worker; undefined while there is none. */
  linkOf(worker: string): number | undefined {
    return this.#childPids().find((pid) => argvOf(pid).includes(worker));
  }

  /** What the daemon has running beside its links. */
  helperPids(): number[] {
    return this.#childPids().filter((pid) => !argvOf(pid).some((each) => /link\.mjs$/.test(each)));
  }

  async killAgent(index: number): Promise<void> {
    const { uid } = this.worker(index);
    const find = `pkill -KILL -u ${uid} -f 'rch-wkr.mjs serve' || true`;
    await this.fleet.inside(this.worker(index), 'sh', '-c', find);
  }

  /** What is left when nothing runs any more, in words. */
  async leaks(): Promise<string[]> {
    const found: string[] = [];
    for (const worker of this.fleet.workers) {
      const { uid, user, id } = worker;
      const list = await this.fleet.inside(worker, 'ps', '-eo', 'uid,stat,args');
      let attached = 0;
      for (const line of list.split('\n')) {
        const [owner, state = '', ...words] = line.trim().split(/\s+/);
        if (Number(owner) !== uid || state.startsWith('Z')) continue;
        const args = words.join(' ');
        if (/\/start attach$/.test(args)) attached += 1;
        else if (!/rch-wkr\.mjs|^sshd|rch-run (attach|wait)|rch-fs/.test(args))
          found.push(`a process on ${id}: ${args}`);
      }
      // One connection has two streams.
      if (attached > 2) found.push(`${attached} streams to ${id}`);
      const folders = ['jobs', 'trash', 'kept'].map(
        (part) => `/home/${user}/.cache/rch-wkr/${part}`,
      );
      const jobs = `ls -A ${folders.join(' ')} 2>/dev/null | grep -v : || true`;
      const left = (await this.fleet.inside(worker, 'sh', '-c', jobs)).trim();
      if (left !== '') found.push(`folders of jobs on ${id}: ${left.replaceAll('\n', ' ')}`);
    }
    for (const { id } of this.fleet.workers) {
      found.push(...this.#filesIn(join(this.world.home, '.cache', 'rch', 'redo', id)));
      found.push(...this.#filesIn(join(this.world.home, '.local', 'state', 'rch', 'jobs', id)));
    }
    return found;
  }

  /** Brings what the daemon knows to be kept on workers here: what is left there then, nobody knows of. */
  async fetchKept(): Promise<string[]> {
    const { kept } = JSON.parse(await this.world.rch(['jobs', '--json'])) as {
      kept: { readonly id: string }[];
    };
    const failed: string[] = [];
    for (const { id } of kept)
      await this.world.rch(['jobs', 'fetch', id]).catch((thrown: unknown) => {
        failed.push(`kept results: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
      });
    return failed;
  }

  async clear(): Promise<void> {
    await this.world.dispose();
    this.#marks.close();
    for (const relay of this.relays) await relay.close();
    await this.fleet.release();
    rmSync(this.base, { recursive: true, force: true });
  }

  configure(): void {
    const toml = this.fleet.workersToml((worker) => ({
      host: '127.0.0.1',
      port: this.relays[this.fleet.workers.indexOf(worker)]?.port ?? 0,
    }));
    const lines = toml.split('\n').flatMap((line) => {
      const shift = this.#shifts.get(/^id = "(.*)"$/.exec(line)?.[1] ?? '');
      return shift === undefined ? [line] : [line, `clock_shift_ns = "${shift}"`];
    });
    this.world.writeConfig('workers.toml', lines.join('\n'));
  }

  #hostKey(worker: FleetWorker, at: number): string {
    const line = readFileSync(worker.knownHosts, 'utf8');
    return line.replace(/^\S+/, `[127.0.0.1]:${this.relays[at]?.port ?? 0}`);
  }

  #filesIn(folder: string): string[] {
    try {
      return readdirSync(folder).map((name) => `a file: ${join(folder, name)}`);
    } catch {
      return [];
    }
  }
}
