/**
 * First words after a tool's name by which it is only asked something, whatever follows: it answers and ends. The
 * launcher knows them (shims/protocol.h), so that such a call waits for nobody; it tells the daemon, for `rch why`.
 */
export const asking = {
  /** Of every tool that has a shim. */
  any: ['--version', '--help'],
  /** Of cargo and rustc. */
  rust: ['-V', '-vV'],
  /** Of gcc, clang and their kin. */
  compiler: ['-dumpversion', '-dumpfullversion', '-dumpmachine'],
} as const;

/** How the files begin that autoconf has compiled to see whether they can be. The launcher knows it too. */
export const probeFile = 'conftest';
