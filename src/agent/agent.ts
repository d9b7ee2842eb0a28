/** The agent itself: what all connections share. Only src/agent/main.ts makes one. */
import { mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { allowedCpus } from '../base/cpus.ts';
import { fail, messageOf, ok, type Result } from '../base/result.ts';
import { roomOf, LEAST_DISK, MachineProbe } from '../facts/machine.ts';
import type { AgentFacts, BenchmarkFacts, HelloFacts } from '../protocol/facts.ts';
import type { RefusalKind } from '../protocol/jobs.ts';
import { FsHelper } from '../tree/fs-helper.ts';
import { Hasher } from '../tree/hash.ts';
import { Store } from '../tree/store.ts';
import { benchmark } from './benchmark.ts';
import { asked, boundOf, collect, type Collected, heldBytes, pressed, usually } from './collect.ts';
import { Contents } from './contents.ts';
import { emptyTrash, sweepFolder, type AgentFolder } from './folder.ts';
import { Jobs, type JobsNeeds } from './jobs.ts';
import { Kept } from './kept.ts';
import { lookAt } from './look.ts';
import { LoadWatch } from './load.ts';
import type { Log } from './log.ts';
import { Memory } from '../base/memory.ts';
import { sweepOrphans } from './orphans.ts';
import { Owner, slotsOf } from './owner.ts';
import { Past } from './past.ts';
import type { Root } from './root.ts';
import { Roots } from './roots.ts';
import { Runners } from './runner.ts';
import { findSandbox, type Sandbox } from './sandbox.ts';
import { Session } from './session.ts';
import { ShimFolders } from './shim-folders.ts';
import { Slots } from './slots.ts';
import type { AgentStream } from './stream.ts';

/** How often disk and load are looked at while somebody is connected, ms; told when they moved by this share. */
const LOOK_EVERY = 10_000;
const DISK_MOVED = 0.05;
const LOAD_MOVED = 0.2;

export type AgentNeeds = {
  readonly folder: AgentFolder;
  /** Where rch-run and rch-fs are. */
  readonly lib: string;
  readonly log: Log;
  readonly version: string;
  /** Tells versions apart: the hash that its socket is named by. */
  readonly name: string;
  /** PATH for tools and package managers. */
  readonly path: string;
  /** Sandbox methods not to use. */
  readonly without: readonly string[];
};

export class Agent {
  readonly log: Log;
  readonly version: string;
  readonly store: Store;
  readonly contents: Contents;
  readonly helper: FsHelper;
  readonly jobs: Jobs;
  readonly kept: Kept;
  readonly memory = new Memory({
    busy: () => this.jobs.all.length > 0,
    forget: () => {
      this.#unload();
    },
  });
  readonly #needs: AgentNeeds;
  readonly #roots: Roots;
  readonly #hasher: Hasher;
  readonly #runners: Runners;
  readonly #slots: Slots;
  readonly #probe = new MachineProbe();
  readonly #owners = new Map<string, Owner>();
  readonly #sessions = new Map<string, Session>();
  #sandbox: Promise<Sandbox>;
  #onIdle: () => void = () => undefined;
  #tools: readonly string[] = [];
  #lookTimer: NodeJS.Timeout | undefined;
  #diskFree = 0;
  readonly #watch = new LoadWatch();
  #load = 0;
  #collecting: Promise<unknown> | undefined;
  #tidying: Promise<void> = Promise.resolve();
  #benchmark: Promise<BenchmarkFacts> | undefined;

  private constructor(needs: AgentNeeds, store: Store, hasher: Hasher, past: Past) {
    this.#needs = needs;
    this.log = needs.log;
    this.version = needs.version;
    this.#slots = new Slots(allowedCpus(), needs.log);
    this.store = store;
    this.contents = new Contents(store);
    this.helper = new FsHelper(join(needs.lib, 'rch-fs'), { trash: needs.folder.trash });
    this.#hasher = hasher;
    this.#roots = new Roots(needs.folder, { helper: this.helper, hasher: this.#hasher });
    const runner = join(needs.lib, 'rch-run');
    this.#runners = new Runners(runner);
    this.#sandbox = this.#findSandbox();
    this.kept = new Kept(needs.folder, (bytes) => this.room(bytes));
    const jobs: JobsNeeds = {
      folder: needs.folder,
      runner,
      runners: this.#runners,
      shims: new ShimFolders(needs.folder.shims),
      sandbox: () => this.#sandbox,
      slots: this.#slots,
      helper: this.helper,
      fsProgram: join(needs.lib, 'rch-fs'),
      hasher: this.#hasher,
      log: needs.log,
      roots: this.#roots,
      past,
      asTold: (session) => this.asTold(session),
      changed: () => {
        void this.#tellState();
      },
      ended: () => {
        this.#runners.ready();
        this.maybeCollect();
        this.#checkIdle();
      },
      keep: (job) => {
        const { hex, owner, results } = job;
        return this.kept.keep({ hex, workstation: owner.workstation }, results);
      },
    };
    this.jobs = new Jobs(jobs);
  }

  static async open(needs: AgentNeeds): Promise<Result<Agent>> {
    const past = new Past(join(needs.folder.path, 'past'), needs.log);
    past.left(await sweepOrphans(needs.folder, needs.log));
    await emptyTrash(needs.folder);
    await sweepFolder(needs.folder);
    const hasher = new Hasher({ own: true });
    const store = await Store.open({ folder: needs.folder.store, hasher });
    if (!store.ok) return store;
    const agent = new Agent(needs, store.value, hasher, past);
    await agent.kept.sweep();
    return ok(agent);
  }

  /** Called whenever the last connection or job went. */
  set onIdle(callback: () => void) {
    this.#onIdle = callback;
  }

  /** Nobody is connected and nothing runs. */
  get idle(): boolean {
    return this.#sessions.size === 0 && this.jobs.all.length === 0;
  }

  /** A new control stream. One that has the same session takes the place of the one before. */
  async greet(session: Buffer, hello: HelloFacts, stream: AgentStream): Promise<void> {
    const owner = this.#owners.get(hello.workstation) ?? new Owner(hello);
    owner.greet(hello);
    this.#owners.set(hello.workstation, owner);
    const id = sessionId(hello.workstation, session);
    this.#sessions.get(id)?.end();
    const opened = new Session(owner, stream, this);
    this.#sessions.set(id, opened);
    stream.handOver(
      (message) => opened.receive(message),
      () => {
        opened.end();
        if (this.#sessions.get(id) === opened) this.#sessions.delete(id);
        this.#checkIdle();
      },
    );
    this.#watchMachine();
    const facts = await this.facts(opened, this.#tools);
    stream.send({
      type: 'welcome',
      protocol: 1,
      version: this.version,
      now: owner.clock.now(),
      json: Buffer.from(JSON.stringify(facts)),
    });
    if (this.#load > 0) this.#tellVitals(opened);
  }

  /** A bulk stream of a session; false when there is no such session. */
  join(session: Buffer, hello: HelloFacts, stream: AgentStream): boolean {
    const opened = this.#sessions.get(sessionId(hello.workstation, session));
    opened?.addBulk(stream);
    return opened !== undefined;
  }

  #findSandbox(): Promise<Sandbox> {
    const { lib, path, without } = this.#needs;
    return findSandbox({ runner: join(lib, 'rch-run'), path, without });
  }

  /** What was found at the start; where that was poor, and nothing runs by it, it is tried again: somebody may have mended it. */
  async #bestSandbox(): Promise<Sandbox> {
    const { method } = await this.#sandbox;
    const poor = method === 'none' || method === 'folder';
    if (poor && this.jobs.all.length === 0) this.#sandbox = this.#findSandbox();
    return this.#sandbox;
  }

  /** For a session, which remembers what they hold for. */
  async facts(session: Session, tools: readonly string[]): Promise<AgentFacts> {
    if (tools.length > 0) this.#tools = tools;
    const { owner } = session;
    const { folder, path } = this.#needs;
    // Before they are taken: what changes meanwhile is noticed.
    session.told = { tools, mark: await this.#probe.mark(tools, { path }) };
    const [machine, sandbox] = await Promise.all([
      this.#probe.take(tools, { path, folder: folder.path }),
      this.#bestSandbox(),
    ]);
    const user = userInfo();
    return {
      ...machine,
      user: user.username,
      uid: user.uid,
      folder: folder.path,
      node: process.version,
      agent: this.#needs.name,
      sandbox: { method: sandbox.method, mend: sandbox.mend },
      totalSlots: slotsOf(owner.hello, this.#slots.cores),
      usedSlots: this.#slots.used,
      ownSlots: this.#slots.heldBy(owner.workstation),
      kept: this.kept.all,
      roots: this.#roots.epochsOf(owner.workstation),
    };
  }

  /** Whether tools and packages are still those that a session was told of. */
  async asTold({ told }: Session): Promise<boolean> {
    const { path } = this.#needs;
    return told === undefined || told.mark === (await this.#probe.mark(told.tools, { path }));
  }

  /** Removes what went aside. */
  tidy(): void {
    this.#tidying = this.#tidying
      .then(() => emptyTrash(this.#needs.folder))
      .catch((thrown: unknown) => {
        this.#needs.log(`what went aside is not removed: ${messageOf(thrown)}`);
      });
  }

  /** The root a sync names; where the method is `folder`, its tree stands at the caller's own path. */
  async openRoot(
    owner: Owner,
    wanted: { key: string; path: string; policy: number },
  ): Promise<Result<Root, { kind: RefusalKind; reason: string }>> {
    const root = this.#roots.open(owner.workstation, wanted);
    if (!root.ok) return { ok: false, failure: { kind: 'bad-path', ...root.failure } };
    const sandbox = await this.#sandbox;
    if (sandbox.method !== 'folder' || root.value.standsAtPath) return root;
    const stood = standAtPath(root.value);
    if (stood.ok) return root;
    const reason = `${stood.failure.reason}; ${sandbox.mend}`;
    return { ok: false, failure: { kind: 'no-sandbox', reason } };
  }

  /** The epoch of a root after a look at its tree; 0: none, or nobody vouches for it. */
  async look(owner: Owner, key: string): Promise<bigint> {
    const root = this.#roots.find(owner.workstation, key);
    if (root === undefined) return 0n;
    return root.inOrder(async () => {
      const damage = await lookAt(root, { jobs: this.jobs.all, roots: this.#roots.all });
      if (damage !== undefined) this.log(`${root.path}: ${damage}`);
      return root.epoch;
    });
  }

  /** Whether so many more bytes fit on the disk. */
  async room(bytes: number): Promise<Result<undefined>> {
    // Contents are held once in the store and once in the tree, where the file system cannot share them.
    const wanted = 2 * bytes + LEAST_DISK / 2;
    let free = await roomOf(this.#needs.folder.path);
    if (free < wanted) {
      // What went aside is on its way out.
      await this.#tidying;
      free = await roomOf(this.#needs.folder.path);
    }
    if (free >= wanted) return ok(undefined);
    return fail(
      `${Math.round(free / 1e6)} MB are free on the worker, too few for ${Math.round(bytes / 1e6)} MB (by bytes or by inodes)`,
    );
  }

  /** How fast this machine is. Those who ask meanwhile get the same answer. */
  benchmark(): Promise<BenchmarkFacts> {
    this.#benchmark ??= benchmark(this.#needs.folder.path, this.#slots.cores).finally(() => {
      this.#benchmark = undefined;
    });
    return this.#benchmark;
  }

  /** `bytes` 0: to the bound the workstations gave. */
  async collect(bytes: number): Promise<Collected> {
    await this.#collecting;
    const limit = bytes === 0 ? this.#limit() : bytes;
    return collect(limit, asked, this.#collectNeeds());
  }

  /** Collects in the background once the bound is exceeded, or the disk gets short. */
  maybeCollect(): void {
    this.#collecting ??= this.#collectOverflow()
      .catch((thrown: unknown) => {
        this.log(`collecting: ${String(thrown)}`);
      })
      .finally(() => {
        this.#collecting = undefined;
      });
  }

  async #collectOverflow(): Promise<void> {
    // What went aside is on its way out.
    await this.#tidying;
    const free = await roomOf(this.#needs.folder.path);
    const before = heldBytes(this.#collectNeeds());
    const limit = boundOf(this.#limit(), before, free);
    if (before <= limit) return;
    const safe = free < LEAST_DISK ? pressed : usually;
    const { contents, trees, results, held } = await collect(limit, safe, this.#collectNeeds());
    const freed = contents + trees + results;
    if (freed === 0) return;
    this.log(`collected ${freed} bytes, ${held} are held`);
    await this.#tellState();
  }

  /** Ends all jobs and connections. */
  close(): void {
    clearInterval(this.#lookTimer);
    this.jobs.killAll();
    this.#runners.rest();
    for (const session of [...this.#sessions.values()]) session.end();
    this.helper.close();
    void this.#hasher.close();
  }

  /** Frees memory of trees that nobody uses now. */
  #unload(): void {
    for (const root of this.#roots.all) if (root.turns.idle) void root.unload();
    this.#runners.rest();
  }

  #limit(): number {
    const limits = [...this.#owners.values()].map((owner) => owner.hello.storeLimit);
    return limits.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...limits);
  }

  #collectNeeds(): Parameters<typeof collect>[2] {
    const { store, contents, kept } = this;
    return { store, contents, kept, roots: this.#roots };
  }

  #checkIdle(): void {
    if (this.#sessions.size === 0) {
      clearInterval(this.#lookTimer);
      this.#lookTimer = undefined;
    }
    if (this.idle) this.#onIdle();
  }

  #watchMachine(): void {
    this.#lookTimer ??= setInterval(() => {
      void this.#lookAtMachine();
    }, LOOK_EVERY);
  }

  async #lookAtMachine(): Promise<void> {
    const { cores, used } = this.#slots;
    const load = this.#watch.look(cores, used) ?? 0;
    if (Math.abs(load - this.#load) > LOAD_MOVED * cores) {
      this.#load = load;
      for (const session of this.#sessions.values()) this.#tellVitals(session);
    }
    const free = await roomOf(this.#needs.folder.path);
    if (Math.abs(free - this.#diskFree) > DISK_MOVED * this.#diskFree) await this.#tellState();
    this.maybeCollect();
  }

  #tellVitals(session: Session): void {
    session.send({ type: 'vitals', json: Buffer.from(JSON.stringify({ load: this.#load })) });
  }

  async #tellState(): Promise<void> {
    this.#diskFree = await roomOf(this.#needs.folder.path);
    for (const session of this.#sessions.values()) {
      session.send({
        type: 'state',
        totalSlots: slotsOf(session.owner.hello, this.#slots.cores),
        usedSlots: this.#slots.used,
        ownSlots: this.#slots.heldBy(session.owner.workstation),
        freeBytes: BigInt(this.#diskFree),
      });
    }
  }
}

function sessionId(workstation: string, session: Buffer): string {
  return `${workstation} ${session.toString('hex')}`;
}

/** Makes the real folder at the root's own path; refuses what is there already, for it is not ours. */
function standAtPath(root: Root): Result<undefined> {
  const path = Buffer.from(root.path, 'latin1');
  try {
    mkdirSync(dirname(root.path), { recursive: true });
    mkdirSync(path, { mode: 0o700 });
    root.standAt(path);
    return ok(undefined);
  } catch (thrown) {
    return fail(
      `${root.path} cannot be made on the worker (${thrown instanceof Error ? thrown.message : 'unknown'})`,
    );
  }
}
