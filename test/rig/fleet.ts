/** A fleet of real sshd workers (scripts/fleet) for a test file, and a relay that makes the way to them worse. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';

const top = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const script = join(top, 'scripts', 'fleet');
const run = promisify(execFile);

/** Why there can be no fleet here; tests that need one are skipped under their names then. */
export const noFleet: string | undefined =
  process.getuid?.() === 0 ? undefined : 'needs root for network namespaces';

const fleetWorker = z.object({
  id: z.string(),
  host: z.string(),
  port: z.number(),
  user: z.string(),
  uid: z.number(),
  identityFile: z.string(),
  knownHosts: z.string(),
  /** The worker's root file system, as seen from here. */
  root: z.string(),
  home: z.string(),
  log: z.string(),
  variant: z.string(),
});
export type FleetWorker = z.infer<typeof fleetWorker>;

export type FleetOptions = {
  /** So many more workers, after the others, that are a minimal Debian with sshd alone. */
  readonly bare?: number;
  /** Debian packages beside the C toolchain. */
  readonly packages?: readonly string[];
};

export class Fleet {
  readonly workers: readonly FleetWorker[];
  readonly #name: string;

  private constructor(name: string, workers: readonly FleetWorker[]) {
    this.#name = name;
    this.workers = workers;
  }

  /** Brings up `count` workers with a C toolchain, of a fleet that no other process has. */
  static async up(name: string, count: number, options: FleetOptions = {}): Promise<Fleet> {
    if (noFleet !== undefined) throw new Error(`there can be no fleet: it ${noFleet}`);
    const full = `${name}-${process.pid}`;
    const packages = options.packages ?? [];
    const bare = options.bare ?? 0;
    let text = '';
    if (count > 0)
      text = await command(
        full,
        'up',
        String(count),
        ...(packages.length === 0 ? [] : ['--packages', packages.join(',')]),
      );
    if (bare > 0) text = await command(full, 'up', String(count + bare), '--bare');
    return new Fleet(
      full,
      z.object({ workers: z.array(fleetWorker) }).parse(JSON.parse(text)).workers,
    );
  }

  worker(index: number): FleetWorker {
    const worker = this.workers[index];
    if (worker === undefined) throw new Error(`the fleet has no worker ${index}`);
    return worker;
  }

  /** Pulls the plug of a worker: all its processes end, its disk stays. */
  async unplug(index: number): Promise<void> {
    await command(this.#name, 'kill', String(index + 1));
  }

  /** Starts unplugged workers again; their descriptors change in `root`. */
  async plugIn(): Promise<Fleet> {
    const text = await command(this.#name, 'up', String(this.workers.length));
    return new Fleet(
      this.#name,
      z.object({ workers: z.array(fleetWorker) }).parse(JSON.parse(text)).workers,
    );
  }

  /**
   * Gives the apt of a bare worker packages to install, from a folder there, as it reaches nothing else: those named, and
   * all they need.
   */
  async stock(worker: FleetWorker, packages: readonly string[]): Promise<void> {
    const folder = (await command(this.#name, 'repository', packages.join(','))).trim();
    cpSync(folder, join(worker.root, 'var', 'local', 'packages'), { recursive: true });
    const line = 'deb [trusted=yes] file:/var/local/packages ./\n';
    writeFileSync(join(worker.root, 'etc', 'apt', 'sources.list'), line);
  }

  /** Runs a command as root inside a worker; its stdout. */
  inside(worker: FleetWorker, ...argv: readonly string[]): Promise<string> {
    return command(this.#name, 'exec', worker.id.replace('worker', ''), ...argv);
  }

  /** The text of a workers.toml with all workers. `at` leads to them by other addresses, such as a relay's. */
  workersToml(
    at: (worker: FleetWorker) => { host: string; port: number } = (worker) => worker,
  ): string {
    return this.workers
      .map((worker) => {
        const { host, port } = at(worker);
        return (
          `[[workers]]\nid = "${worker.id}"\ntransport = "ssh"\nhost = "${host}"\nport = ${port}\n` +
          `user = "${worker.user}"\nidentity_file = "${worker.identityFile}"\n`
        );
      })
      .join('\n');
  }

  /** The text of a known_hosts with all workers. */
  knownHosts(): string {
    return this.workers.map((worker) => knownHostsOf(worker)).join('');
  }

  /** Ends and forgets the workers. */
  async release(): Promise<void> {
    await command(this.#name, 'down');
  }
}

async function command(fleet: string, ...argv: readonly string[]): Promise<string> {
  const done = await run(script, argv, {
    encoding: 'utf8',
    maxBuffer: 1 << 24,
    env: { ...process.env, RCH_FLEET: fleet, RCH_FLEET_OWNER: String(process.pid) },
  });
  return done.stdout;
}

/** The known_hosts line of a worker; `name` replaces its address (known_hosts form, `[host]:port` off port 22). */
export function knownHostsOf(worker: FleetWorker, name?: string): string {
  const line = readFileSync(worker.knownHosts, 'utf8');
  return typeof name === 'string' ? line.replace(/^\S+/, name) : line;
}

export type RelayState = {
  /** Bytes towards the client until the cut; 0: none is to come. */
  readonly cutAfter: number;
  /** The same towards the worker. */
  readonly cutAfterSent: number;
  readonly sent: number;
  readonly received: number;
  readonly accepted: number;
  readonly connections: number;
};

/** A relay before a worker (scripts/relay.mjs), which makes the network worse on command. */
export class Relay {
  readonly port: number;
  readonly #control: string;
  readonly #stop: () => Promise<void>;

  private constructor(port: number, control: string, stop: () => Promise<void>) {
    this.port = port;
    this.#control = control;
    this.#stop = stop;
  }

  static async open(to: { readonly host: string; readonly port: number }): Promise<Relay> {
    const control = join(
      tmpdir(),
      `rch-relay-${process.pid}-${Math.random().toString(36).slice(2)}`,
    );
    const child = spawn(
      process.execPath,
      [join(top, 'scripts', 'relay.mjs'), '--to', `${to.host}:${to.port}`, '--control', control],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const { port } = z.object({ port: z.number() }).parse(JSON.parse(line));
    return new Relay(port, control, async () => {
      const gone = once(child, 'exit');
      child.stdin.end();
      await gone;
      rmSync(control, { force: true });
    });
  }

  /** Sends a command of scripts/relay.mjs. */
  async command(order: Readonly<Record<string, number | boolean>>): Promise<RelayState> {
    const socket = connect(this.#control);
    socket.write(`${JSON.stringify(order)}\n`);
    const [line] = (await once(createInterface({ input: socket }), 'line')) as [string];
    socket.destroy();
    return JSON.parse(line) as RelayState;
  }

  close(): Promise<void> {
    return this.#stop();
  }
}
