/**
 * Rewrites the times inside ninja's own files by the same rule as the mtimes they are compared with.
 *
 * - `.ninja_log` v5 to v7: lines `start TAB end TAB mtime TAB output TAB hash`, mtime in ns (ninja's src/build_log.cc).
 * - `.ninja_deps` v3 and v4: signature, i32 version, then records: u32 size whose high bit says "deps"; a deps
 *   record is i32 output, the mtime (v3: i32 in s; v4: u32 low, u32 high, in ns), i32 inputs (src/deps_log.cc).
 *
 * Whatever does not parse (another version, a torn tail) is kept byte for byte.
 */
import type { RawPath } from './manifest.ts';
import { type StampRule, stamp } from './stamps.ts';

/** ninja's own files are tiny beside what they describe; one larger than this is not its, bytes. */
const MOST_NINJA = 256 * 1024 * 1024;

const LOG_HEADER = /^# ninja log v(\d+)\n/;
const DEPS_SIGNATURE = Buffer.from('# ninjadeps\n', 'latin1');
const DEPS_FLAG = 0x80000000;
const SECOND = 1_000_000_000n;

function mapLine(line: string, rule: StampRule): string {
  const fields = line.split('\t');
  const mtime = fields[2];
  if (fields.length !== 5 || mtime === undefined || !/^\d{1,19}$/.test(mtime)) return line;
  fields[2] = stamp(BigInt(mtime), rule).toString();
  return fields.join('\t');
}

/** A `.ninja_log` with each mtime stamped; a last line without its newline is torn and stays as it is. */
export function mapNinjaLog(log: Buffer, rule: StampRule): Buffer {
  const text = log.toString('latin1');
  const version = Number(LOG_HEADER.exec(text)?.[1]);
  if (!(version >= 5 && version <= 7)) return log;
  const lines = text.split('\n');
  const torn = lines.pop() ?? '';
  return Buffer.from(
    [...lines.map((line) => (line.startsWith('#') ? line : mapLine(line, rule))), torn].join('\n'),
    'latin1',
  );
}

/** A whole second: ninja compares it with the output's mtime cut to seconds, and a later one is still valid. */
function mapSeconds(seconds: number, rule: StampRule): number {
  const start = BigInt(seconds) * SECOND;
  const end = start + SECOND - 1n;
  if (end < rule.from || start > rule.till) return seconds;
  return Number(stamp(end > rule.till ? rule.till : end, rule) / SECOND);
}

/** A `.ninja_deps` with each mtime stamped. */
export function mapNinjaDeps(deps: Buffer, rule: StampRule): Buffer {
  const start = DEPS_SIGNATURE.length + 4;
  if (deps.length < start || !deps.subarray(0, DEPS_SIGNATURE.length).equals(DEPS_SIGNATURE))
    return deps;
  const version = deps.readInt32LE(DEPS_SIGNATURE.length);
  if (version !== 3 && version !== 4) return deps;
  const mapped = Buffer.from(deps);
  const least = version === 4 ? 12 : 8;
  for (let at = start; at + 4 <= deps.length;) {
    const head = deps.readUInt32LE(at);
    const size = head >= DEPS_FLAG ? head - DEPS_FLAG : head;
    at += 4;
    if (size > deps.length - at) break;
    if (head >= DEPS_FLAG && size >= least) {
      if (version === 4) mapped.writeBigInt64LE(stamp(deps.readBigInt64LE(at + 4), rule), at + 4);
      else mapped.writeInt32LE(mapSeconds(deps.readInt32LE(at + 4), rule), at + 4);
    }
    at += size;
  }
  return mapped;
}

/** How the times in one of ninja's own files are mapped; undefined for any other file. Both sides must agree on it. */
export function ninjaMap(
  path: RawPath,
  size: number,
): ((content: Buffer, rule: StampRule) => Buffer) | undefined {
  if (size > MOST_NINJA) return undefined;
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (name === '.ninja_log') return mapNinjaLog;
  return name === '.ninja_deps' ? mapNinjaDeps : undefined;
}
