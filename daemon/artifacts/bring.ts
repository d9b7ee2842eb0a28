/** Brings the contents of a return into the spool: those that nobody else is bringing, all of them at the end. */
import { fail, ok, type Failure, type Result } from '../../src/base/result.ts';
import { bitsFor, outlineOf } from '../../src/tree/chunks.ts';
import type { Hash } from '../../src/tree/manifest.ts';
import type { Part } from './early.ts';
import type { Spool } from './spool.ts';

/** A content from this size on, bytes, comes as what differs from what stands in its place here. */
const DELTA_LEAST = 4 * 1024 * 1024;
/** The largest file that is looked at for that: its chunks fit into a message. */
const DELTA_MOST = 64e9;

/** How often a content that another return was bringing is asked for again. */
const ROUNDS = 4;

/** What is less than that is brought without a look at the disk, bytes. */
const LEAST_ASKED = 1e6;

/** Without a byte for so long, a return is given up, ms. */
const STALLED_MS = 60_000;

/** A content to be brought: its bytes, and what stands where it will be placed. */
export type Wanted = {
  readonly size: number;
  readonly old?: { readonly hash: Hash; readonly size: number; readonly path: Buffer } | undefined;
};

/** What of a content is here already, as the agent is told it. */
export type Known = { readonly base: Hash; readonly bits: number; readonly chunks: Buffer };

export type BringNeeds = {
  readonly spool: Spool;
  /** Who asks; what it had claimed before is gone on with. */
  readonly asker: object;
  /** Asks the agent for whole contents, which arrive in the spool. */
  readonly fetch: (hashes: readonly Hash[]) => Promise<Result<undefined>>;
  readonly fetchPart: (part: Part, known?: Known) => Promise<Result<undefined>>;
  /** Whether looking for what differs pays on this way. */
  readonly worthDiffering: () => boolean;
  /** Bytes free on the disk of the spool. */
  readonly free: () => Promise<number>;
};

type Claims = {
  readonly whole: Hash[];
  /** To be put together from what is here and what differs. */
  readonly differing: { readonly part: Part; readonly old: NonNullable<Wanted['old']> }[];
  readonly rest: Part[];
  /** On their way for another job. */
  readonly others: Hash[];
};

/** `failed`: what could not be put together. */
function claimAll(
  lacking: ReadonlyMap<Hash, Wanted>,
  failed: ReadonlySet<Hash>,
  needs: BringNeeds,
): Claims {
  const claims: Claims = { whole: [], differing: [], rest: [], others: [] };
  for (const [hash, { size, old }] of lacking) {
    const held = needs.spool.claim(hash, size, needs.asker);
    const large = size >= DELTA_LEAST && old !== undefined && old.size >= DELTA_LEAST;
    if (held === undefined) claims.others.push(hash);
    else if (
      held === 0 &&
      large &&
      old.size <= DELTA_MOST &&
      !failed.has(hash) &&
      needs.worthDiffering()
    )
      claims.differing.push({ part: { hash, size, offset: 0, length: size }, old });
    else if (held === 0) claims.whole.push(hash);
    else claims.rest.push({ hash, size, offset: held, length: size - held });
  }
  return claims;
}

/** Asks for what differs from the file here; false where that did not give the content. */
async function fetchDiffering(
  { part, old }: Claims['differing'][number],
  { spool, fetchPart }: BringNeeds,
): Promise<boolean> {
  const bits = bitsFor(old.size);
  const chunks = await outlineOf(old.path, old.size, bits);
  const known = chunks.ok ? { base: old.hash, bits, chunks: chunks.value } : undefined;
  const takeBack = spool.lend(old.hash, old.path);
  try {
    const arrived = spool.arrival(part.hash);
    const asked = await fetchPart(part, known);
    if (!asked.ok) await spool.drop(part.hash, asked.failure.reason);
    return (await arrived).ok;
  } finally {
    takeBack();
  }
}

/**
 * Gives up on contents when nothing has come for a while, although the agent says that it sent them: of `mine`, which
 * come in any order, nothing at all; of each that another asked for, nothing of it.
 */
async function patiently<T>(
  arrived: Promise<T>,
  { mine, others }: { readonly mine: readonly Hash[]; readonly others: readonly Hash[] },
  { spool, asker }: BringNeeds,
): Promise<T> {
  let seen = spool.receivedFor(asker);
  const held = new Map(others.map((hash) => [hash, spool.heldOf(hash)]));
  const drop = (hash: Hash): void => {
    void spool.drop(hash, 'the worker no longer sends what it offered');
  };
  const timer = setInterval(() => {
    const now = spool.receivedFor(asker);
    if (now === seen) mine.forEach(drop);
    seen = now;
    for (const [hash, before] of held) {
      const at = spool.heldOf(hash);
      if (at !== undefined && at === before) drop(hash);
      held.set(hash, at);
    }
  }, STALLED_MS);
  try {
    return await arrived;
  } finally {
    clearInterval(timer);
  }
}

/** Fails when the agent does not give what it offered. */
export async function bring(
  wanted: ReadonlyMap<Hash, Wanted>,
  needs: BringNeeds,
): Promise<Result<undefined>> {
  needs.spool.countOn(wanted.keys(), needs.asker);
  const announced = [...wanted].reduce(
    (sum, [hash, { size }]) => sum + (needs.spool.has(hash) ? 0 : size),
    0,
  );
  if (announced > LEAST_ASKED && announced > (await needs.free()))
    return fail(
      `the worker returns ${Math.round(announced / 1e6)} MB, for which there is no space left here`,
    );
  let failure: Failure = { reason: 'a content did not come' };
  const failed = new Set<Hash>();
  for (let round = 0; round < ROUNDS; round++) {
    const lacking = new Map([...wanted].filter(([hash]) => !needs.spool.has(hash)));
    if (lacking.size === 0) return ok(undefined);
    const claims = claimAll(lacking, failed, needs);
    const arrivals = [...lacking.keys()].map((hash) => needs.spool.arrival(hash));
    for (const claim of claims.differing)
      if (!(await fetchDiffering(claim, needs))) failed.add(claim.part.hash);
    const asked: Result<undefined>[] = [];
    for (const part of claims.rest) {
      const begun = await needs.fetchPart(part);
      // What came before the end may have been of another state of the file: then all of it comes anew.
      if (!begun.ok) await needs.spool.drop(part.hash, begun.failure.reason);
    }
    if (claims.whole.length > 0) asked.push(await needs.fetch(claims.whole));
    for (const answer of asked) {
      if (answer.ok) continue;
      for (const hash of claims.whole) await needs.spool.drop(hash, answer.failure.reason);
      await Promise.all(
        claims.rest.map(({ hash }) => needs.spool.drop(hash, answer.failure.reason)),
      );
      return answer;
    }
    const others = new Set(claims.others);
    const own = [...lacking.keys()].filter((hash) => !others.has(hash));
    const waiting = { mine: own, others: claims.others };
    const ends = await patiently(Promise.all(arrivals), waiting, needs);
    const mine = new Set(claims.whole);
    for (const [at, hash] of [...lacking.keys()].entries()) {
      const end = ends[at];
      if (end?.ok !== false) continue;
      if (mine.has(hash)) return end;
      failure = end.failure;
    }
  }
  const all = [...wanted.keys()].every((hash) => needs.spool.has(hash));
  return all ? ok(undefined) : { ok: false, failure };
}
