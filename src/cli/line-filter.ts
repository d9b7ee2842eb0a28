/** Keeps some lines of a byte stream, and puts a word before each. Lines are bytes: they may be no UTF-8. */
import { Transform, type TransformCallback } from 'node:stream';

export const filters = ['all', 'errors', 'summary', 'progress'] as const;
export type Filter = (typeof filters)[number];

/** Bytes of a line that are waited for before it is decided upon. */
const MOST_HELD = 1024 * 1024;
const NEWLINE = 0x0a;

/** Colours and cursor movements (ECMA-48 control sequences), which stand between the words of a line. */
const controls = /\u001b\[[0-?]*[ -/]*[@-~]/g;

const wanted: Readonly<Record<Exclude<Filter, 'all'>, RegExp>> = {
  errors:
    /\berror(\[|:)|\bwarning:|^\s*-->|\*\*\*|^FAILED:|\bundefined reference\b|\bpanicked at\b|^test .*FAILED$/,
  summary:
    /^\s*(Compiling|Finished|Running|Doc-tests)\b|\btest result:|^ninja: |^\d+% tests passed/,
  progress: /^\s*(Compiling|Downloading|Downloaded|Building)\b|\d% |^\[\s*(\d+\/\d+|\d+%)\]/,
};

export function keeps(filter: Filter, line: Buffer): boolean {
  if (filter === 'all') return true;
  return wanted[filter].test(line.toString('latin1').replace(controls, '').trimEnd());
}

export class LineFilter extends Transform {
  readonly #filter: Filter;
  readonly #before: () => Buffer;
  #held: Buffer[] = [];
  #size = 0;
  /** What was decided about the line that is under way; undefined while it is held. */
  #kept: boolean | undefined;

  /** `before` gives what goes before a line, when it begins to be written. */
  constructor(filter: Filter, before: () => Buffer) {
    super();
    this.#filter = filter;
    this.#before = before;
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: TransformCallback): void {
    let at = 0;
    while (at < chunk.length) {
      const end = chunk.indexOf(NEWLINE, at);
      const till = end < 0 ? chunk.length : end + 1;
      this.#take(chunk.subarray(at, till), end >= 0);
      at = till;
    }
    done();
  }

  /** A last line without its end is a line too, and gets none. */
  override _flush(done: TransformCallback): void {
    if (this.#size > 0) this.#decide();
    done();
  }

  #take(piece: Buffer, ends: boolean): void {
    if (this.#kept === undefined) {
      this.#held.push(piece);
      this.#size += piece.length;
      if (ends || this.#size >= MOST_HELD) this.#decide();
    } else if (this.#kept) this.push(piece);
    if (ends) this.#kept = undefined;
  }

  #decide(): void {
    const line = Buffer.concat(this.#held);
    this.#held = [];
    this.#size = 0;
    this.#kept = keeps(this.#filter, line);
    if (this.#kept) this.push(Buffer.concat([this.#before(), line]));
  }
}
