/** Brings the contents of a return into the spool: those that nobody else is bringing, all of them at the end. */
import { fail, ok, type Failure, type Result } from '../../src/base/result.ts';
import type { Hash } from '../../src/tree/manifest.ts';
import type { Part } from './early.ts';
import type { Spool } from './spool.ts';

/** How often a content that another return was bringing is asked for again. */
const ROUNDS = 3;

/** What is less than that is brought without a look at the disk, bytes. */
const LEAST_ASKED = 1e6;

/** Without a byte for so long, a return is given up, ms. */
const STALLED_MS = 60_000;

export type BringNeeds = {
  readonly spool: Spool;
  /** Who asks; what it had claimed before is gone on with. */
  readonly asker: object;
  /** Asks the agent for whole contents, which arrive in the spool. */
  readonly fetch: (hashes: readonly Hash[]) => Promise<Result<undefined>>;
  readonly fetchPart: (part: Part) => Promise<Result<undefined>>;
  /** Bytes free on the disk of the spool. */
  readonly free: () => Promise<number>;
};

type Claims = {
  readonly whole: Hash[];
  readonly rest: Part[];
  /** On their way for another job. */
  readonly others: Hash[];
};

function claimAll(lacking: ReadonlyMap<Hash, number>, needs: BringNeeds): Claims {
  const claims: Claims = { whole: [], rest: [], others: [] };
  for (const [hash, size] of lacking) {
    const held = needs.spool.claim(hash, size, needs.asker);
    if (held === undefined) claims.others.push(hash);
    else if (held === 0) claims.whole.push(hash);
    else claims.rest.push({ hash, size, offset: held, length: size - held });
  }
  return claims;
}

/** Gives up on contents when nothing has come for a while, although the agent says that it sent them. */
async function patiently<T>(
  arrived: Promise<T>,
  hashes: readonly Hash[],
  { spool, asker }: BringNeeds,
): Promise<T> {
  let seen = spool.receivedFor(asker);
  const timer = setInterval(() => {
    const now = spool.receivedFor(asker);
    if (now === seen)
      for (const hash of hashes)
        void spool.drop(hash, 'the worker no longer sends what it offered');
    seen = now;
  }, STALLED_MS);
  try {
    return await arrived;
  } finally {
    clearInterval(timer);
  }
}

/** Fails when the agent does not give what it offered. */
export async function bring(
  wanted: ReadonlyMap<Hash, number>,
  needs: BringNeeds,
): Promise<Result<undefined>> {
  const announced = [...wanted].reduce(
    (sum, [hash, size]) => sum + (needs.spool.has(hash) ? 0 : size),
    0,
  );
  if (announced > LEAST_ASKED && announced > (await needs.free()))
    return fail(
      `the worker returns ${Math.round(announced / 1e6)} MB, for which there is no space left here`,
    );
  let failure: Failure = { reason: 'a content did not come' };
  for (let round = 0; round < ROUNDS; round++) {
    const lacking = new Map([...wanted].filter(([hash]) => !needs.spool.has(hash)));
    if (lacking.size === 0) return ok(undefined);
    const claims = claimAll(lacking, needs);
    const arrivals = [...lacking.keys()].map((hash) => needs.spool.arrival(hash));
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
    const ends = await patiently(Promise.all(arrivals), [...lacking.keys()], needs);
    const mine = new Set(claims.whole);
    for (const [at, hash] of [...lacking.keys()].entries()) {
      const end = ends[at];
      if (end?.ok !== false) continue;
      if (mine.has(hash)) return end;
      failure = end.failure;
    }
  }
  return { ok: false, failure };
}
