/** Random manifests for property tests: names of any bytes, every kind of entry, coherent as a file system is. */
import fc from 'fast-check';
import { hashBytes } from '../../src/tree/hash.ts';
import type { Entry, Manifest, RawPath } from '../../src/tree/manifest.ts';
import { TEMP_PREFIX } from '../../src/tree/paths.ts';

/** Contents by hash. */
export const contents = new Map(
  ['', 'a', 'b', 'some text\n', 'x'.repeat(5000), '\0'.repeat(200_000)].map((text) => {
    const data = Buffer.from(text);
    return [hashBytes(data), data] as const;
  }),
);

const byte = fc.integer({ min: 1, max: 255 }).filter((n) => n !== 0x2f);
/** A few short names, so that paths of two manifests meet, and now and then a wild one. */
const name = fc
  .oneof(
    { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'c', 'A', 'a.c', 'B\n', '\xff\xfe', '-x') },
    {
      weight: 1,
      arbitrary: fc
        .array(byte, { minLength: 1, maxLength: 12 })
        .map((bytes) => Buffer.from(bytes).toString('latin1')),
    },
  )
  .filter((text) => text !== '.' && text !== '..' && !text.startsWith(TEMP_PREFIX));

const path = fc
  .array(name, { minLength: 1, maxLength: 4 })
  .map((parts): RawPath => parts.join('/'));

const mtime = fc.oneof(
  fc.bigInt({ min: 1n, max: 1_700_000_000_999_999_999n }),
  fc.constantFrom(0n, -1_500_000_000n, 1_600_000_000_123_456_789n),
);
/** Only root can read what has no mode. */
const closed = process.getuid?.() === 0 ? 0o000 : 0o400;
const fileMode = fc.constantFrom(0o644, 0o755, 0o400, closed, 0o600, 0o4755);
const dirMode = fc.constantFrom(0o755, 0o700, 0o555, 0o1777, 0o2755);
const content = fc.constantFrom(...contents);

const file = fc
  .record({ mode: fileMode, mtime, content })
  .map(({ content: [hash, data], ...rest }): Entry => ({
    kind: 'file',
    size: data.length,
    hash,
    ...rest,
  }));
const target = fc.constantFrom('a', '../x', '/etc/passwd', '\xff', 'a/b\nc', 'x'.repeat(300));
const symlink = fc.record({ target, mtime }).map((rest): Entry => ({ kind: 'symlink', ...rest }));
const dir = fc.record({ mode: dirMode, mtime }).map((rest): Entry => ({ kind: 'dir', ...rest }));
const leaf = fc.oneof({ weight: 4, arbitrary: file }, symlink, dir);

type Seed = {
  readonly leaves: [RawPath, Entry][];
  readonly dirs: Entry[];
  readonly links: [RawPath, number][];
};

/** Puts what was drawn into a tree: parents become folders, what does not fit is left out. */
function grow(seed: Seed): Manifest {
  const manifest: Manifest = new Map();
  const folder = (n: number): Entry =>
    seed.dirs[n % seed.dirs.length] ?? { kind: 'dir', mode: 0o755, mtime: 1n };
  const fits = (at: RawPath): boolean => {
    const parts = at.split('/');
    for (let n = 1; n < parts.length; n++) {
      const above = manifest.get(parts.slice(0, n).join('/'));
      if (above !== undefined && above.kind !== 'dir') return false;
    }
    for (let n = 1; n < parts.length; n++) {
      const up = parts.slice(0, n).join('/');
      if (!manifest.has(up)) manifest.set(up, folder(manifest.size));
    }
    return !manifest.has(at);
  };
  manifest.set('', folder(0));
  for (const [at, entry] of seed.leaves) if (fits(at)) manifest.set(at, entry);
  for (const [at, n] of seed.links) {
    const files = [...manifest].filter(([, entry]) => entry.kind === 'file').map(([p]) => p);
    const to = files[n % Math.max(1, files.length)];
    if (to !== undefined && to < at && fits(at)) manifest.set(at, { kind: 'hardlink', to });
  }
  return manifest;
}

export const manifests: fc.Arbitrary<Manifest> = fc
  .record({
    leaves: fc.array(fc.tuple(path, leaf), { maxLength: 12 }),
    dirs: fc.array(dir, { minLength: 1, maxLength: 4 }),
    links: fc.array(fc.tuple(path, fc.nat(20)), { maxLength: 4 }),
  })
  .map(grow);
