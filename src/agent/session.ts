/** One link as the agent sees it: its control stream, its bulk streams, and what it asked for. */
import { messageOf, never, type Failure } from '../base/result.ts';
import type { AgentMessage } from '../protocol/agent.ts';
import type { RefusalKind } from '../protocol/jobs.ts';
import { BlobPacker } from '../protocol/blob-packer.ts';
import { probeRequest } from '../protocol/facts.ts';
import { bitsFor, Outline, outlineOf } from '../tree/chunks.ts';
import { unpackChanges } from '../tree/packed.ts';
import type { Change, Hash } from '../tree/manifest.ts';
import type { Agent } from './agent.ts';
import { namedIn, sendContent, sendPart, type Content, type OutNeeds } from './blobs-out.ts';
import type { Listener, Owner } from './owner.ts';
import { beforeOf, retold, type KeptResult } from './kept.ts';
import { settleResult } from './result.ts';
import { isAboutJob, isRequest, type AboutJob, type Of, type Request } from './session-messages.ts';
import { SilenceWatch } from './silence.ts';
import type { AgentStream } from './stream.ts';
import { syncIn, type Lack } from './sync-in.ts';

/** The longest manifest, packed, bytes: some two million files. */
const MOST_CHANGES = 256 * 1024 * 1024;
/** The largest file whose chunks fit into a message, bytes. */
const MOST_OUTLINED = 64e9;
const DEFAULT_LEVEL = 3;

const hexOf = ({ job }: { readonly job: Buffer }): string => job.toString('hex');

/** A sync whose parts are still coming. */
type Arriving = { readonly changes: Change[]; bytes: number; failure: Failure | undefined };

/** A sync that has begun. */
type Bringing = {
  /** Aborted when what it waits for will not come. */
  readonly withdrawn: AbortController;
  baseOf: Lack['baseOf'];
  readonly lent: (() => void)[];
};

export class Session implements Listener {
  readonly owner: Owner;
  /** The tools that it was last told of, and what the facts hold for. */
  told: { readonly tools: readonly string[]; readonly mark: string } | undefined;
  readonly #agent: Agent;
  readonly #control: AgentStream;
  readonly #bulk: AgentStream[] = [];
  readonly #syncs = new Map<number, Arriving>();
  readonly #bringing = new Map<number, Bringing>();
  readonly #gone = new AbortController();
  readonly #packer: BlobPacker;
  #watch: SilenceWatch | undefined;

  constructor(owner: Owner, control: AgentStream, agent: Agent) {
    this.owner = owner;
    this.#control = control;
    this.#agent = agent;
    const { compression = DEFAULT_LEVEL, adaptive = true, heartbeat } = owner.hello;
    this.#packer = new BlobPacker(compression, adaptive);
    if (heartbeat === undefined) return;
    // Else jobs would run on for nobody.
    this.#watch = new SilenceWatch(heartbeat, (seconds) => {
      agent.log(`a link was silent for ${seconds} s`);
      this.end();
    });
  }

  addBulk(stream: AgentStream): void {
    this.#bulk.push(stream);
    stream.handOver(
      (message) => this.receive(message),
      () => {
        this.#bulk.splice(this.#bulk.indexOf(stream), 1);
      },
    );
  }

  send(message: AgentMessage): void {
    this.#control.send(message);
  }

  /** The control stream is gone; so is all that was on its way. */
  end(): void {
    this.#watch?.stop();
    this.#gone.abort();
    for (const stream of [...this.#bulk]) stream.close();
    this.#control.close();
    for (const job of this.#agent.jobs.all) job.leave(this);
  }

  receive(message: AgentMessage): Promise<void> | undefined {
    this.#watch?.heard();
    if (message.type !== 'ping') this.#agent.memory.used();
    if (message.type === 'blob') return this.#agent.contents.take(message);
    if (isRequest(message)) this.#request(message);
    else if (isAboutJob(message)) this.#aboutJob(message);
    // Nothing a link says: whoever it is does not speak our protocol.
    else this.#control.close();
    return undefined;
  }

  #request(message: Request): void {
    const { request } = message;
    switch (message.type) {
      case 'ping':
        this.send({ type: 'pong', request, now: this.owner.clock.now() });
        return;
      case 'probe':
        this.#answer(request, () => this.#probe(message));
        return;
      case 'sync':
        this.#sync(message);
        return;
      case 'withdraw':
        this.#bringing.get(request)?.withdrawn.abort();
        return;
      case 'look':
        this.#answer(request, () => this.#look(message));
        return;
      case 'outline':
        this.#answer(request, () => this.#outline(message));
        return;
      case 'fetch':
        this.#fetch(message);
        return;
      case 'fetchPart':
        this.#answer(request, () => this.#fetchPart(message));
        return;
      case 'settle':
        this.#answer(request, () => this.#settle(message));
        return;
      case 'before':
        this.#before(message);
        return;
      case 'keep':
        this.#answer(request, () => this.#keep(message));
        return;
      case 'reclaim':
        this.#reclaim(message);
        return;
      case 'collect':
        this.#answer(request, () => this.#collect(message));
        return;
      case 'benchmark':
        this.#answer(request, async () => {
          const facts = await this.#agent.benchmark();
          this.send({ type: 'benchmarked', request, json: Buffer.from(JSON.stringify(facts)) });
        });
        return;
      default:
        never(message);
    }
  }

  #aboutJob(message: AboutJob): void {
    if (message.type === 'run') {
      this.#agent.jobs.run(message, this);
      return;
    }
    const job = this.#agent.jobs.find(message.job, this.owner);
    switch (message.type) {
      case 'attach':
        if (job === undefined) this.#unknown(Buffer.from(message.job));
        else job.attach(this, message);
        return;
      case 'finish':
      case 'kill':
        if (job === undefined) this.#unwanted(message.job);
        else if (message.type === 'finish') job.finish();
        else job.kill();
        return;
      case 'outAck':
      case 'stdin':
      case 'stdinEof':
      case 'ttyInput':
      case 'signal':
      case 'resize':
      case 'outClosed':
        job?.streams.fromLink(message);
        return;
      default:
        never(message);
    }
  }

  #refuse(request: number, kind: RefusalKind, reason: string): void {
    this.send({ type: 'refused', request, kind, reason });
  }

  /** Work that ends in an answer, whatever goes wrong. */
  #answer(request: number, work: () => Promise<void>): void {
    work().catch((thrown: unknown) => {
      this.#agent.log(`request ${request}: ${messageOf(thrown)}`);
      this.#refuse(request, 'internal', messageOf(thrown));
    });
  }

  async #probe(message: Of<'probe'>): Promise<void> {
    const { request } = message;
    const asked = probeRequest.parse(JSON.parse(message.json.toString('utf8')));
    const facts = await this.#agent.facts(this, asked.tools);
    this.send({ type: 'facts', request, json: Buffer.from(JSON.stringify(facts)) });
  }

  async #collect({ request, bytes }: Of<'collect'>): Promise<void> {
    const { contents, trees, results, held } = await this.#agent.collect(Number(bytes));
    this.send({
      type: 'collected',
      request,
      contents: BigInt(contents),
      trees: BigInt(trees),
      results: BigInt(results),
      held: BigInt(held),
    });
  }

  /** Gathers the parts; the last one starts the work. */
  #sync(message: Of<'sync'>): void {
    const { request } = message;
    const sync = this.#syncs.get(request) ?? { changes: [], bytes: 0, failure: undefined };
    this.#syncs.set(request, sync);
    sync.bytes += message.changes.length;
    if (sync.bytes > MOST_CHANGES) sync.failure ??= { reason: 'the manifest is too large' };
    if (message.changes.length > 0 && sync.failure === undefined) {
      const part = unpackChanges(message.changes);
      if (part.ok) for (const change of part.value) sync.changes.push(change);
      else sync.failure = part.failure;
    }
    if (!message.last) return;
    this.#syncs.delete(request);
    if (sync.failure !== undefined) {
      const kind = sync.bytes > MOST_CHANGES ? 'too-large' : 'bad-path';
      this.#refuse(request, kind, sync.failure.reason);
      return;
    }
    const path = message.path.toString('latin1');
    this.#answer(request, () => this.#bring({ ...message, path }, sync.changes));
  }

  async #bring(
    message: Omit<Of<'sync'>, 'path'> & { path: string },
    changes: Change[],
  ): Promise<void> {
    const { request, from, to, whole } = message;
    const root = await this.#agent.openRoot(this.owner, {
      key: message.root,
      path: message.path,
      policy: message.policy,
    });
    if (!root.ok) {
      this.#refuse(request, root.failure.kind, root.failure.reason);
      return;
    }
    const bringing: Bringing = {
      withdrawn: new AbortController(),
      baseOf: () => undefined,
      lent: [],
    };
    this.#bringing.set(request, bringing);
    const synced = await syncIn(
      { root: root.value, from, to, whole, changes },
      {
        store: this.#agent.store,
        contents: this.#agent.contents,
        helper: this.#agent.helper,
        tidy: () => {
          this.#agent.tidy();
        },
        signal: AbortSignal.any([this.#gone.signal, bringing.withdrawn.signal]),
        room: (bytes) => this.#agent.room(bytes),
        need: (lack) => {
          bringing.baseOf = lack.baseOf;
          this.#need(request, lack);
        },
      },
    );
    this.#bringing.delete(request);
    for (const back of bringing.lent) back();
    if (!synced.ok) this.#refuse(request, synced.failure.kind, synced.failure.reason);
    else if (synced.value.type === 'synced')
      this.send({ type: 'synced', request, epoch: synced.value.epoch });
    else {
      const { at, reason } = synced.value;
      if (reason !== undefined) this.#agent.log(`${root.value.path}: ${reason}`);
      this.send({ type: 'syncMismatch', request, at });
    }
    this.#agent.maybeCollect();
  }

  /** At once, so that whatever comes after it waits for it. */
  async #look({ request, root, from }: Of<'look'>): Promise<void> {
    const at = await this.#agent.look(this.owner, root);
    if (at !== 0n && at === from) this.send({ type: 'synced', request, epoch: at });
    else this.send({ type: 'syncMismatch', request, at });
  }

  #need(request: number, { missing, partial }: Lack): void {
    const held = Buffer.alloc(partial.length * 8);
    for (const [at, bytes] of partial.entries()) held.writeBigUInt64LE(BigInt(bytes), at * 8);
    const hashes = Buffer.concat(missing.map(({ hash }) => Buffer.from(hash, 'hex')));
    this.send({ type: 'syncNeed', request, hashes, partial: held });
  }

  /** For a job that is not here. */
  #unknown(job: Buffer): void {
    const reason = 'the worker never began the job';
    if (this.#agent.jobs.settleFate(job) === 'begun') this.send({ type: 'unknownJob', job });
    else this.send({ type: 'notStarted', job, kind: 'never-seen', reason });
  }

  /** Nobody wants a job that is not here: nor what was put aside of it, nor that it begins after all. */
  #unwanted(job: Buffer): void {
    void this.#kept(job, () => this.#agent.kept.remove(hexOf({ job })));
    this.#agent.jobs.settleFate(job);
  }

  /** Runs `use` on what is kept of a job of this workstation, if anything is. */
  #kept<T>(job: Buffer, use: (kept: KeptResult) => T): T | undefined {
    const kept = this.#agent.kept.open(job.toString('hex'), this.owner.workstation);
    return kept === undefined ? undefined : use(kept);
  }

  #before(message: Of<'before'>): void {
    const { request } = message;
    const result = this.#agent.jobs
      .find(message.job, this.owner)
      ?.results.find(({ root }) => root.key === message.root);
    const parts =
      result === undefined
        ? this.#kept(message.job, ({ roots }) => roots.find(({ key }) => key === message.root))
            ?.before
        : beforeOf(result);
    if (parts === undefined) {
      this.#refuse(request, 'no-root', 'the job has no such result');
      return;
    }
    for (const [at, changes] of parts.entries())
      this.send({ type: 'baseline', request, changes, last: at === parts.length - 1 });
  }

  async #keep(message: Of<'keep'>): Promise<void> {
    const { request } = message;
    const kept = await this.#agent.jobs.find(message.job, this.owner)?.keep();
    if (kept?.ok === true) this.send({ type: 'kept', request, bytes: BigInt(kept.value) });
    else this.#refuse(request, 'internal', kept?.failure.reason ?? 'the job is not there any more');
  }

  #reclaim({ request, job }: Of<'reclaim'>): void {
    const told = this.#kept(job, (kept) => retold(kept, Buffer.from(job), request));
    if (told === undefined)
      this.#refuse(request, 'never-seen', 'nothing is kept of that job on the worker');
    else for (const message of told) this.send(message);
  }

  /** Tells the chunks of what stands in the place of a content that is on its way, and lends it to that. */
  async #outline(message: Of<'outline'>): Promise<void> {
    const { request } = message;
    const bringing = this.#bringing.get(message.sync);
    const base = bringing?.baseOf(message.hash.toString('hex'));
    const bits = bitsFor(base?.size ?? 0);
    const fits = base !== undefined && base.size <= MOST_OUTLINED;
    const chunks = fits ? await outlineOf(base.path, base.size, bits) : undefined;
    const none = { base: Buffer.alloc(0), chunks: Buffer.alloc(0) };
    const over = bringing === undefined || this.#bringing.get(message.sync) !== bringing;
    if (over || base === undefined || chunks?.ok !== true) {
      this.send({ type: 'outlined', request, bits, ...none });
      return;
    }
    bringing.lent.push(this.#agent.contents.lend(base.hash, base.path));
    const of = { base: Buffer.from(base.hash, 'hex'), chunks: chunks.value };
    this.send({ type: 'outlined', request, bits, ...of });
  }

  /** Not awaited, and on every stream there is: control messages must get through meanwhile. */
  #fetch(message: Of<'fetch'>): void {
    const { request } = message;
    const job = this.#agent.jobs.find(message.job, this.owner);
    const offered =
      job === undefined
        ? (this.#kept(message.job, ({ contents }) => contents) ?? new Map<Hash, Content>())
        : job.offered;
    const wanted = namedIn(message.hashes, offered);
    if (wanted === undefined) {
      this.#refuse(request, 'bad-content', 'a content was asked for that no result offers');
      return;
    }
    const streams = this.#bulkStreams();
    this.#answer(request, async () => {
      const failures = await Promise.all(streams.map(() => this.#drain(wanted, streams)));
      const failure = failures.find((each) => each !== undefined);
      if (failure === undefined) this.send({ type: 'fetched', request });
      else this.#refuse(request, 'bad-content', failure.reason);
    });
  }

  async #fetchPart(message: Of<'fetchPart'>): Promise<void> {
    const { request } = message;
    const job = this.#agent.jobs.find(message.job, this.owner);
    const content = job?.contentOf(message.hash.toString('hex'));
    if (content === undefined) {
      this.#refuse(request, 'bad-content', 'a content was asked for that is not offered');
      return;
    }
    const { base: hash, bits, chunks } = message;
    const outline = hash.length > 0 ? Outline.read(bits, chunks) : undefined;
    const base = outline === undefined ? undefined : { hash: Buffer.from(hash), outline };
    const part = { offset: Number(message.offset), length: Number(message.length), base };
    // What comes early keeps out of the way of the command's output, however many streams there are.
    const streams = job?.state.at === 'ended' ? this.#bulkStreams() : this.#bulkStreams(1);
    const sent = await sendPart(content, part, this.#out(streams));
    if (sent.ok) this.send({ type: 'fetched', request });
    else this.#refuse(request, 'bad-content', sent.failure.reason);
  }

  /** For pieces of contents: at most so many of those there are. */
  #bulkStreams(most = this.#bulk.length): AgentStream[] {
    return this.#bulk.length > 0 ? this.#bulk.slice(0, most) : [this.#control];
  }

  #out(streams: readonly AgentStream[]): OutNeeds {
    const extents = (path: Buffer): ReturnType<OutNeeds['extents']> =>
      this.#agent.helper.extents(path);
    return { streams, packer: this.#packer, extents };
  }

  /** Sends contents from the list until it is empty. */
  async #drain(wanted: Content[], streams: readonly AgentStream[]): Promise<Failure | undefined> {
    for (let content = wanted.shift(); content !== undefined; content = wanted.shift()) {
      const sent = await sendContent(content, this.#out(streams));
      if (!sent.ok) return sent.failure;
    }
    return undefined;
  }

  async #settle(message: Of<'settle'>): Promise<void> {
    const { request, to, offset, floor, cap } = message;
    const job = this.#agent.jobs.find(message.job, this.owner);
    const result = job?.results.find(({ root }) => root.key === message.root);
    if (job?.state.at !== 'ended' || result === undefined) {
      this.#refuse(request, 'no-root', 'the job has no such result');
      return;
    }
    const settled = await settleResult(result, { to, offset, floor, cap }, this.#agent.helper);
    if (settled.ok) this.send({ type: 'settled', request, epoch: to });
    else this.#refuse(request, 'internal', settled.failure.reason);
  }
}
