/**
 * What a Node program and its `rch-fs` helper say to each other on the helper's stdin and stdout.
 * The helper walks, reads stats with ns, and changes trees; it never follows a symlink and never leaves a root.
 */
import type { MessageOf } from './codec.ts';

/** What a scan of a tree looks at. */
export const ScanWatch = {
  /** Everything. */
  none: 0,
  /** Everything, and from then on notes what happens in the tree: somebody may still write there. */
  begin: 1,
  /** Only where something happened since the last scan of this kind; nobody writes there now. */
  trust: 2,
} as const;
export type ScanWatch = (typeof ScanWatch)[keyof typeof ScanWatch];

export const fsMessages = {
  /**
   * Walks the tree below `root` and answers with what differs from the last scan of the same `tree` number
   * (everything, when there was none or `fresh`). What `skip` names (relative) is neither entered nor listed;
   * when `only` is not empty, nothing but what it names, what lies below that, and its parents is listed. `watch`, a
   * ScanWatch, says what is looked at.
   */
  scan: {
    number: 1,
    fields: {
      request: 'u32',
      tree: 'u32',
      root: 'bytes',
      fresh: 'bool',
      skip: 'bytesList',
      only: 'bytesList',
      watch: 'u8',
    },
  },
  /**
   * A part of the answer: packed stat records, layout in src/tree/scan.ts. `whole`: there was no scan to compare
   * with. `startedAt`: CLOCK_REALTIME before the walk, ns.
   */
  scanned: {
    number: 2,
    fields: { request: 'u32', records: 'bytes', last: 'bool', whole: 'bool', startedAt: 'i64' },
  },
  /**
   * Applies packed operations in order, layout in src/tree/apply.ts. On a conflict the new version is kept as
   * `NAME.rch-SUFFIX`, unless `suffix` is empty.
   */
  apply: {
    number: 3,
    fields: { request: 'u32', root: 'bytes', suffix: 'bytes', operations: 'bytes' },
  },
  /** One result a operation: packed, layout in src/tree/apply.ts. */
  applied: { number: 4, fields: { request: 'u32', results: 'bytes' } },
  /** Forgets a tree number. */
  forget: { number: 5, fields: { tree: 'u32' } },
  /** Asks where a file (absolute path, not followed when it is a symlink) holds data. */
  extents: { number: 7, fields: { request: 'u32', path: 'bytes' } },
  /**
   * u64 pairs, from and till, in order; holes are what lies between, small ones are told as data. `size`: of the
   * file. Nothing for a file in too many parts: `known` is false.
   */
  mapped: { number: 8, fields: { request: 'u32', known: 'bool', size: 'u64', ranges: 'bytes' } },
  failed: { number: 6, fields: { request: 'u32', error: 'u32', message: 'str' } },
} as const;

export type FsMessage = MessageOf<typeof fsMessages>;
