/** Reads back what packOperations of apply.ts packed: for a journal of what was about to be done. */
import { fail, ok, type Result } from '../base/result.ts';
import { type Content, ContentKind, type Guard, type Operation } from './apply.ts';
import { readStat, STAT_BYTES } from './scan.ts';

class Reader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  get done(): boolean {
    return this.#at === this.#buffer.length;
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#take(1));
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  i64(): bigint {
    return this.#buffer.readBigInt64LE(this.#take(8));
  }

  bytes(): Buffer {
    const length = this.u32();
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }

  text(): string {
    return this.bytes().toString('latin1');
  }

  guard(): Guard {
    const kind = this.u8();
    if (kind === 2) return readStat(this.#buffer, this.#take(STAT_BYTES));
    if (kind > 2) throw new RangeError('an unknown guard');
    return kind === 1 ? 'absent' : 'none';
  }

  content(): Content {
    const kind = this.u8();
    const data = this.bytes();
    if (kind === 0) return { from: 'inline', data };
    for (const from of ['copy', 'link', 'move'] as const)
      if (kind === ContentKind[from]) return { from, path: data };
    throw new RangeError('an unknown content');
  }

  #take(length: number): number {
    const at = this.#at;
    if (at + length > this.#buffer.length) throw new RangeError('cut short');
    this.#at = at + length;
    return at;
  }
}

function operationAt(reader: Reader): Operation {
  const op = reader.u8();
  const path = reader.text();
  const guard = reader.guard();
  switch (op) {
    case 1: {
      const [mode, mtime, size] = [reader.u32(), reader.i64(), Number(reader.i64())];
      return { op: 'file', path, guard, mode, mtime, size, content: reader.content() };
    }
    case 2: {
      const mtime = reader.i64();
      return { op: 'symlink', path, guard, mtime, target: reader.text() };
    }
    case 3:
      return { op: 'dir', path, guard };
    case 4:
      return { op: 'dirMeta', path, mode: reader.u32(), mtime: reader.i64() };
    case 5:
      return { op: 'hardlink', path, guard, to: reader.text() };
    case 6:
      return { op: 'remove', path, guard };
    case 7:
      return { op: 'meta', path, guard, mode: reader.u32(), mtime: reader.i64() };
    case 8:
      return { op: 'stat', path };
    default:
      throw new RangeError('an unknown operation');
  }
}

/** Fails on what packOperations did not make. */
export function readOperations(buffer: Buffer): Result<Operation[]> {
  const operations: Operation[] = [];
  const reader = new Reader(buffer);
  try {
    while (!reader.done) operations.push(operationAt(reader));
    return ok(operations);
  } catch (thrown) {
    if (thrown instanceof RangeError)
      return fail(`operation ${operations.length}: ${thrown.message}`);
    throw thrown;
  }
}
