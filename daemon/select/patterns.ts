/**
 * The patterns of cost_benefit.always_remote and never_remote, such as `cargo build --release`: the first word is the
 * tool, the others stand among the arguments in this order, with anything between. `*` is any part of a word.
 */
const special = /[.+?^${}()|[\]\\]/g;

function matches(word: string, pattern: string): boolean {
  if (!pattern.includes('*')) return word === pattern;
  const source = pattern.replace(special, '\\$&').replaceAll('*', '.*');
  return new RegExp(`^${source}$`, 'su').test(word);
}

/** The first of `patterns` that the command fits. `tool` is the name it was called by; `argv` begins with it. */
export function fitting(
  patterns: readonly string[],
  tool: string,
  argv: readonly string[],
): string | undefined {
  return patterns.find((pattern) => {
    const [first, ...rest] = pattern.trim().split(/\s+/);
    if (first === undefined || !matches(tool, first)) return false;
    let at = 1;
    for (const word of rest) {
      while (at < argv.length && !matches(argv[at] ?? '', word)) at++;
      if (at++ >= argv.length) return false;
    }
    return true;
  });
}
