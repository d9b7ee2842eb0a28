/**
 * What a Node program and its `rch-fs` helper say to each other on the helper's stdin and stdout.
 * The helper walks, reads stats with ns, and changes trees; it never follows a symlink and never leaves a root.
 */
import type { MessageOf } from './codec.ts';

export const fsMessages = {
  /**
   * Walks the tree below `root` and answers with what differs from the last scan of the same `tree` number
   * (everything, when there was none or `fresh`). What `skip` names (relative) is neither entered nor listed;
   * when `only` is not empty, nothing but what it names, what lies below that, and its parents is listed. `quiet`:
   * nobody writes in it now; nothing is looked at where nothing happened since the last scan that was told so.
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
      quiet: 'bool',
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
