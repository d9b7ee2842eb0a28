/** What a launcher asked about: the command as the kernel would get it, and its surroundings. */
import type { StreamKind } from '../../src/protocol/shim.ts';

/** A descriptor of the caller, as src/protocol/shim.ts describes it. */
export type Stream = {
  readonly kind: StreamKind;
  readonly flags: number;
  readonly dev: bigint;
  readonly ino: bigint;
};

/** All strings are raw: bytes decoded as latin1, one char a byte. */
export type Request = {
  /** The name the shim was called by, without folders. */
  readonly tool: string;
  /** Absolute path of the tool the shim stands for. */
  readonly real: string;
  readonly shimDir: string;
  /** With argv[0]. */
  readonly argv: readonly string[];
  /** Absolute. */
  readonly cwd: string;
  readonly env: ReadonlyMap<string, string>;
  /** Descriptors 0, 1 and 2. */
  readonly streams: readonly [Stream, Stream, Stream];
  /** Which of them are one open file description: bits of Shared (src/protocol/shim.ts). */
  readonly shared: number;
};

/** Looks up what a cargo alias of the user's configuration stands for; undefined when there is none. */
export type AliasLookup = (
  name: string,
  /** The folder that cargo starts in, and what `--config` gives it, as `cargo` says them before the name. */
  where: { readonly directory: string; readonly configs: readonly string[] },
) => readonly string[] | undefined;
