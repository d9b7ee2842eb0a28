/** The return of one job: what it changed in each project root comes here, then the agent is told what became of it. */
import { readFile } from 'node:fs/promises';
import { fail, ok, type Result } from '../../src/base/result.ts';
import { diskFreeOf } from '../../src/facts/machine.ts';
import type { AgentMessage } from '../../src/protocol/agent.ts';
import type { BlobPacker } from '../../src/protocol/blob-packer.ts';
import type { FsHelper } from '../../src/tree/fs-helper.ts';
import type { Hasher } from '../../src/tree/hash.ts';
import type { Change, Hash, Manifest, RawPath } from '../../src/tree/manifest.ts';
import { unpackChanges } from '../../src/tree/packed.ts';
import type { StampRule } from '../../src/tree/stamps.ts';
import { bring, type Known, type Wanted } from '../artifacts/bring.ts';
import { EarlyReturn, type Offer, type Part } from '../artifacts/early.ts';
import { makeSpecials } from '../artifacts/make-specials.ts';
import type { RedoJournal } from '../artifacts/redo.ts';
import type { Spool } from '../artifacts/spool.ts';
import { TakeBack, type TakenBack } from '../artifacts/take-back.ts';
import { takeTemporaries } from '../artifacts/take-temporaries.ts';
import { buildTextKind, envReads, type BuildText } from '../plan/env-reads.ts';
import type { HeldRoot } from '../sync/prepare.ts';
import type { AgentClient } from './agent-client.ts';
import type { Results } from './results.ts';
import type { Reunion } from './reunion.ts';

/** How often a return is begun anew after its connection was lost. */
const ATTEMPTS = 12;
/** What names environment variables is small; larger files are not looked into, bytes. */
const TEXT_BYTES = 1024 * 1024;

/**
 * Files from so many bytes on are moved out of the spool instead of copied; of a return that is large as a whole all are, as
 * copying would be most of its time. What is not huge is copied into the spool again afterwards, for the next who asks.
 */
const HUGE = 32e6;
const LARGE_RETURN = 16e6;

const HASH_BYTES = 32;

export type ReturningNeeds = {
  readonly client: AgentClient;
  /** Of what goes to the worker: what it takes is taken for what it gives. */
  readonly packer: BlobPacker;
  readonly spool: Spool;
  readonly helper: FsHelper;
  readonly redo: RedoJournal;
  /** On the disk of the spool. */
  readonly folder: string;
  /** 32 hex digits. */
  readonly job: string;
  readonly results: Results;
  readonly hasher: Hasher;
  /** Folders (latin1) of which a job has its own: /tmp and the like. */
  readonly temporaries: readonly RawPath[];
  readonly reunion: Reunion;
  /** Names that were kept from the tool. */
  readonly withheld: ReadonlySet<string>;
  /** A link before this one prepared the job: its scan is not known here. */
  readonly recovered: boolean;
  /** Rules by root key with which an earlier link began to place. */
  readonly rules: ReadonlyMap<string, StampRule>;
  /** Files of this root may be in place from here on, stamped by this rule. */
  readonly placing: (root: string, rule: StampRule) => void;
};

export type Returned = {
  readonly conflicts: readonly string[];
  readonly missedEnv: readonly string[];
  /** A file outside the roots that the command wrote without having seen the one that is here; '' for none. */
  readonly unseen: RawPath;
};

export class Returning {
  /** Bytes that came over the wire. */
  received = 0;
  readonly #needs: ReturningNeeds;
  readonly #id: Buffer;
  readonly #early: EarlyReturn;
  /** Files in temporary folders that were here already. */
  readonly #stayed: RawPath[] = [];
  readonly #settling: Promise<void>[] = [];
  /** Files of all roots and temporaries whose content is worth moving, by that. */
  readonly #uses = new Map<Hash, number>();
  /** Contents that are in the tree and no longer in the spool, and where. */
  readonly #moved = new Map<Hash, Buffer>();
  readonly #taken: { readonly held: HeldRoot; readonly back: TakenBack }[] = [];

  /** Paths that came back. */
  get count(): number {
    return this.#taken.reduce((sum, { back }) => sum + back.changes.length, 0);
  }

  constructor(needs: ReturningNeeds) {
    this.#needs = needs;
    this.#id = Buffer.from(needs.job, 'hex');
    this.#early = new EarlyReturn({
      spool: needs.spool,
      fetchPart: (part) => this.#fetchPart(part),
      free: () => diskFreeOf(needs.folder),
      roundTrip: () => needs.client.clock.roundTrip,
    });
  }

  /** The agent thinks that these files of the running command are finished. */
  offered(message: Extract<AgentMessage, { type: 'ready' }>): void {
    const offers: Offer[] = [];
    const { hashes, sizes } = message;
    for (let at = 0; (at + 1) * HASH_BYTES <= hashes.length && (at + 1) * 8 <= sizes.length; at++)
      offers.push({
        hash: hashes.toString('hex', at * HASH_BYTES, (at + 1) * HASH_BYTES),
        size: Number(sizes.readBigUInt64LE(at * 8)),
      });
    this.#early.offer(offers);
  }

  /** The command will have no result. */
  async giveUp(): Promise<void> {
    await this.#early.stop();
    await this.#early.forget();
  }

  /** Takes back what changed in `roots`; where the connection breaks, again once it is back. */
  async take(roots: readonly HeldRoot[]): Promise<Result<Returned>> {
    try {
      await this.#early.stop();
      this.#count(roots);
      for (const held of roots) {
        const back = await this.#takeOne(held);
        if (!back.ok) return back;
        const made = await this.#makeSpecials(held, back.value);
        if (!made.ok) return made;
        this.#taken.push({ held, back: made.value });
      }
      const left = await this.#takeTemporaries();
      if (!left.ok) return left;
    } finally {
      await this.#early.forget();
      this.#needs.spool.release(this.#early);
      this.received = this.#needs.spool.receivedFor(this.#early);
    }
    const conflicts = [...this.#taken.flatMap(({ back }) => back.conflicts), ...this.#stayed];
    // Files there that an earlier link placed look the same.
    const unseen = this.#needs.recovered ? '' : (this.#stayed[0] ?? '');
    return ok({ conflicts, unseen, missedEnv: await this.#missedEnv() });
  }

  #count(roots: readonly HeldRoot[]): void {
    const { results } = this.#needs;
    const files = [...roots.map(({ root }) => root.key), ...results.temporaries]
      .flatMap((name) => results.of(name).changes)
      .flatMap((change) =>
        change.op === 'put' && change.entry.kind === 'file' ? [change.entry] : [],
      );
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    const least = bytes < LARGE_RETURN ? HUGE : 0;
    this.#uses.clear();
    for (const { hash, size } of files)
      if (size >= least) this.#uses.set(hash, (this.#uses.get(hash) ?? 0) + 1);
  }

  /** What no manifest knows of, beside what is in place. */
  async #makeSpecials({ root }: HeldRoot, back: TakenBack): Promise<Result<TakenBack>> {
    const { helper, job, results } = this.#needs;
    const how = { helper, rule: back.rule, suffix: job.slice(0, 8) };
    const made = await makeSpecials(root.path, results.specialsOf(root.key), how);
    return made.ok ? ok({ ...back, conflicts: [...back.conflicts, ...made.value] }) : made;
  }

  /** What the job left in /tmp and the like; only folders that the caller's own job would have used. */
  async #takeTemporaries(): Promise<Result<undefined>> {
    const { temporaries, results, client } = this.#needs;
    for (const folder of results.temporaries) {
      if (!temporaries.includes(folder)) return fail(`the worker returns files into ${folder}`);
      const taken = await takeTemporaries(folder, results.of(folder), {
        ...this.#needs,
        bring: (wanted) => this.#bring(wanted),
        offset: client.clock.offset,
      });
      if (!taken.ok) return taken;
      this.#stayed.push(...taken.value);
    }
    return ok(undefined);
  }

  async #takeOne(held: HeldRoot): Promise<Result<TakenBack>> {
    const { client, reunion } = this.#needs;
    const result = this.#needs.results.of(held.root.key);
    let taking: TakeBack | undefined;
    for (let attempt = 1; ; attempt++) {
      const made: Result<TakeBack> = taking === undefined ? await this.#takingOf(held) : ok(taking);
      if (made.ok) taking = made.value;
      const back = made.ok
        ? await made.value.run(result, (placed) => {
            this.#settle(held, placed);
          })
        : made;
      if (back.ok || client.connected || attempt === ATTEMPTS) return back;
      if (!(await reunion.wait(() => client.connected))) return back;
    }
  }

  async #takingOf(held: HeldRoot): Promise<Result<TakeBack>> {
    const { key } = held.root;
    const before = this.#needs.recovered ? await this.#before(key) : ok(undefined);
    if (!before.ok) return before;
    const taking = new TakeBack(held, {
      helper: this.#needs.helper,
      spool: this.#needs.spool,
      offset: this.#needs.client.clock.offset,
      redo: this.#needs.redo,
      job: this.#needs.job,
      asker: this.#early,
      usesOf: (hash) => this.#uses.get(hash) ?? 0,
      moved: (hash, path) => void this.#moved.set(hash, path),
      bring: (wanted) => this.#bring(wanted),
      before: before.value,
      rule: this.#needs.rules.get(key),
      placing: (rule) => {
        this.#needs.placing(key, rule);
      },
    });
    return ok(taking);
  }

  /** How the paths of the result stood before the run, as the agent knows it. */
  async #before(root: string): Promise<Result<Manifest>> {
    const manifest: Manifest = new Map();
    const bad: { reason?: string } = {};
    // Of each path that it changed, and of nothing else.
    let left = this.#needs.results.of(root).changes.length;
    const answer = await this.#needs.client.request(
      (request) => ({ type: 'before', request, job: this.#id, root }),
      (part) => {
        if (part.type !== 'baseline') return false;
        const changes = unpackChanges(part.changes);
        if (!changes.ok) bad.reason = changes.failure.reason;
        else if ((left -= changes.value.length) < 0)
          bad.reason = 'the worker tells of more files than it changed';
        if (!changes.ok || bad.reason !== undefined) return false;
        for (const change of changes.value)
          if (change.op === 'put') manifest.set(change.path, change.entry);
        return !part.last;
      },
    );
    if (!answer.ok) return answer;
    return bad.reason === undefined ? ok(manifest) : fail(bad.reason);
  }

  #bring(wanted: ReadonlyMap<Hash, Wanted>): Promise<Result<undefined>> {
    return bring(wanted, {
      spool: this.#needs.spool,
      asker: this.#early,
      fetch: async (hashes) => {
        const answer = await this.#needs.client.request((request) => ({
          type: 'fetch',
          request,
          job: this.#id,
          hashes: Buffer.from(hashes.join(''), 'hex'),
        }));
        return answer.ok ? ok(undefined) : answer;
      },
      fetchPart: (part, known) => this.#fetchPart(part, known),
      worthDiffering: () => this.#needs.packer.worthDiffering,
      free: () => diskFreeOf(this.#needs.folder),
    });
  }

  async #fetchPart({ hash, offset, length }: Part, known?: Known): Promise<Result<undefined>> {
    const answer = await this.#needs.client.request((request) => ({
      type: 'fetchPart',
      request,
      job: this.#id,
      hash: Buffer.from(hash, 'hex'),
      offset: BigInt(offset),
      length: BigInt(length),
      base: Buffer.from(known?.base ?? '', 'hex'),
      bits: known?.bits ?? 0,
      chunks: known?.chunks ?? Buffer.alloc(0),
    }));
    return answer.ok ? ok(undefined) : answer;
  }

  /** Names the build turned out to read although they were kept from it (DESIGN, "Environment"). */
  async #missedEnv(): Promise<string[]> {
    if (this.#needs.withheld.size === 0) return [];
    const texts: BuildText[] = [];
    for (const { held, back } of this.#taken)
      for (const change of back.changes) {
        const kind = buildTextKind(change.path);
        if (kind === undefined || !isText(change)) continue;
        const path = Buffer.from(`${held.root.path}/${change.path}`, 'latin1');
        const text = await readFile(path, 'latin1').catch(() => '');
        texts.push({ kind, text });
      }
    return envReads(texts, this.#needs.withheld);
  }

  /**
   * Tells the agent what became of a result, so that both sides mean one tree by the next epoch. Nothing is waited
   * for: whatever is said about the root after this is said to an agent that has heard it.
   */
  #settle(held: HeldRoot, back: TakenBack): void {
    if (back.changes.length === 0) {
      // The agent keeps its epoch without being told.
      held.root.returned([], back.unsettled, undefined);
      return;
    }
    const to = held.root.nextEpoch();
    const { offset, floor, cap } = back.rule;
    const answer = this.#needs.client.request((request) => ({
      type: 'settle',
      request,
      job: this.#id,
      root: held.root.key,
      to,
      offset,
      floor,
      cap,
    }));
    held.root.returned(back.changes, back.unsettled, to);
    this.#settling.push(
      answer.then((settled) => {
        // What was agreed on before the run, only a link that is gone knew.
        const known = settled.ok && settled.value.type === 'settled' && !this.#needs.recovered;
        if (!known) held.root.distrust();
      }),
    );
  }

  /** Resolves when the agent has heard of all that was placed; after that what left the spool is copied back. */
  async settle(): Promise<void> {
    await Promise.all(this.#settling);
    void this.#needs.spool.takeAgain(this.#moved, {
      most: HUGE,
      free: () => diskFreeOf(this.#needs.folder),
    });
  }
}

function isText(change: Change): boolean {
  return change.op === 'put' && change.entry.kind === 'file' && change.entry.size <= TEXT_BYTES;
}
