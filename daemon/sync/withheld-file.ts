/** The file that remembers what a worker does without: parts of src/tree/packed.ts, each after its u32 length. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { Change, Entry, RawPath } from '../../src/tree/manifest.ts';
import { packChanges, unpackChanges } from '../../src/tree/packed.ts';

/** What the file says; a missing or torn one says as much as could be read. */
export function loadWithheld(file: string): Map<RawPath, Entry> {
  const withheld = new Map<RawPath, Entry>();
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch {
    return withheld;
  }
  for (let at = 0; at + 4 <= bytes.length;) {
    const end = at + 4 + bytes.readUInt32LE(at);
    const changes = unpackChanges(bytes.subarray(at + 4, end));
    if (!changes.ok) break;
    for (const change of changes.value)
      if (change.op === 'put') withheld.set(change.path, change.entry);
    at = end;
  }
  return withheld;
}

export function saveWithheld(file: string, withheld: ReadonlyMap<RawPath, Entry>): void {
  if (withheld.size === 0) {
    rmSync(file, { force: true });
    return;
  }
  const puts = function* (): Iterable<Change> {
    for (const [path, entry] of withheld) yield { op: 'put', path, entry };
  };
  const pieces = packChanges(puts()).flatMap((part) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(part.length);
    return [length, part];
  });
  writeFileSync(`${file}.new`, Buffer.concat(pieces), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
