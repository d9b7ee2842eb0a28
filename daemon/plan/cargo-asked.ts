/**
 * What a configuration file has cargo run that is only asked for metadata: `build.rustc`, which it asks for its version
 * and targets, and what that loads. Wrappers are switched off in the environment (run-tool.ts); rustdoc, linkers,
 * runners, credential providers and aliases are not run by asking, offline (seen with cargo 1.95).
 */

/** Variables of `[env]`, which rustc gets, by which another file is loaded or run. */
const loading = /^(LD_.*|PATH|RUSTUP_.*)$/;

/** Flags with which rustc loads code: a backend named by its path, a folder to find one in, more flags in a file. */
const loadingFlags = /codegen[-_]backend=\S*[./]|--sysroot|(^|\s)@/;

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** All `rustflags` anywhere in a configuration, as one text. */
function rustflags(value: unknown): string {
  if (!isTable(value)) return '';
  return Object.entries(value)
    .map(([key, each]) => (key === 'rustflags' ? [each].flat().join('\n') : rustflags(each)))
    .join('\n');
}

/** The key that has something run, or undefined. */
export function runByAsking(config: Readonly<Record<string, unknown>>): string | undefined {
  const { build, env } = config;
  if (isTable(build) && 'rustc' in build) return 'build.rustc';
  const variable = isTable(env) ? Object.keys(env).find((name) => loading.test(name)) : undefined;
  if (variable !== undefined) return `env.${variable}`;
  return loadingFlags.test(rustflags(config)) ? 'rustflags by which rustc loads code' : undefined;
}
