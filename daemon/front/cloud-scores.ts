/** Scores of machines as a cloud_benchmarker tells them (benchmark.url), read row by row: it keeps all it ever measured. */
import { z } from 'zod';
import { fail, messageOf, ok, type Result } from '../../src/base/result.ts';

const DEADLINE = 10_000;
/** Bytes of an answer that are read at most, and of one row. */
const MOST_BYTES = 64_000_000;
const MOST_ROW = 100_000;

/** A row of /data/overall/, as far as it is used; `datetime` in ISO 8601. */
const row = z.object({
  datetime: z.string().optional(),
  hostname: z.string(),
  IP_address: z.string().nullish(),
  overall_score: z.number().nonnegative(),
});

/** All that matters to where a row ends; a backslash with what it takes the meaning from. */
const marks = /\\[^]?|["{}]/g;

/** Cuts `[{…}, {…}]` into the texts of its objects, whatever the pieces in which it comes. */
export class RowCutter {
  /** What came of the row that is open. */
  #row = '';
  #depth = 0;
  #quoted = false;
  #begun = false;
  /** A backslash at the end of a piece. */
  #held = '';
  /** False when it is no list, or has a row beyond all measure. */
  sound = true;

  push(piece: string): string[] {
    if (!this.#begun && piece.trim() !== '') {
      this.#begun = true;
      this.sound = piece.trimStart().startsWith('[');
    }
    let text = this.#held + piece;
    this.#held = '';
    const rows: string[] = [];
    let from = 0;
    for (const { index, 0: mark } of text.matchAll(marks)) {
      if (!this.sound) return rows;
      if (mark === '\\') this.#held = mark;
      else if (mark === '"') this.#quoted = !this.#quoted;
      else if (this.#quoted || mark.length > 1) continue;
      else if (mark === '{') {
        if (this.#depth++ === 0) from = index;
      } else if (--this.#depth === 0) {
        rows.push(this.#row + text.slice(from, index + 1));
        this.#row = '';
      }
      this.sound = this.#depth >= 0;
    }
    if (this.#held !== '') text = text.slice(0, -1);
    if (this.#depth > 0) this.#row += text.slice(from);
    if (this.#row.length > MOST_ROW) this.sound = false;
    return rows;
  }
}

/** Where scores are asked for: of the last days, unless the user's own URL says what to ask for. */
export function scoresUrl(base: string): string {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/data/overall/`;
  if (url.search === '') url.search = '?time_period=last_7_days';
  return url.href;
}

type Best = { readonly at: number; readonly score: number };

/** The newer of the two; without a time, the later one in the list. */
function newer(best: Best | undefined, text: string, names: ReadonlySet<string>): Best | undefined {
  const parsed = row.safeParse(JSON.parse(text));
  if (!parsed.success) throw new Error('a row is not as it should be');
  const { datetime = '', hostname, IP_address: address, overall_score: score } = parsed.data;
  if (!names.has(hostname) && !names.has(address ?? '')) return best;
  const told = Date.parse(datetime);
  const at = Number.isNaN(told) ? 0 : told;
  return best === undefined || at >= best.at ? { at, score } : best;
}

/** The newest score of a machine that goes by one of these names or addresses. */
export async function cloudScore(
  base: string,
  names: ReadonlySet<string>,
): Promise<Result<number>> {
  const place = scoresUrl(base);
  let best: Best | undefined;
  try {
    const answer = await fetch(place, { signal: AbortSignal.timeout(DEADLINE) });
    if (!answer.ok) return fail(`${place} answered ${answer.status}`, 'check benchmark.url');
    const cutter = new RowCutter();
    const decoder = new TextDecoder();
    let bytes = 0;
    const body: AsyncIterable<Uint8Array> | null = answer.body;
    // Leaving the loop ends the transfer.
    for await (const part of body ?? []) {
      bytes += part.length;
      if (bytes > MOST_BYTES) return fail(`${place} answered too much`);
      for (const text of cutter.push(decoder.decode(part, { stream: true })))
        best = newer(best, text, names);
      if (!cutter.sound) break;
    }
    if (!cutter.sound) return fail(`${place} did not answer with scores of cloud_benchmarker`);
  } catch (thrown) {
    return fail(`${place} cannot be read: ${messageOf(thrown)}`, 'check benchmark.url');
  }
  if (best !== undefined) return ok(best.score);
  return fail(`${place} has no score of ${[...names].join(', ')}`);
}
