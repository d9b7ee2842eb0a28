/**
 * Splits a command line by the conventions of getopt_long(3): clusters of short options, joined and separate
 * values, `--name=value`, `--` as the end of options.
 */

/** What a tool's options take: names without dashes. */
export type OptionTable = {
  /** Short options with a value, joined or separate. */
  readonly shortValue: string;
  /** Short options whose value, when there is one, is joined (make's -j8). */
  readonly shortOptional: string;
  readonly longValue: ReadonlySet<string>;
  /** Long options that take the next word unless it begins with a dash (cargo's --bin). */
  readonly longOptional: ReadonlySet<string>;
  /** Short options that take the next word when it is a number (ninja and make: -j 8). */
  readonly shortNumber: string;
};

/** One option: `-j8` is {name: 'j', value: '8'}. */
export type Option = { readonly name: string; readonly value: string | undefined };
export type SplitWords = {
  readonly options: readonly Option[];
  readonly words: readonly string[];
  /** After `--`. */
  readonly rest: readonly string[];
};

const digits = /^\d+(\.\d+)?$/;

type State = { readonly words: readonly string[]; at: number };

function longOption(state: State, word: string, table: OptionTable): Option {
  const equals = word.indexOf('=');
  if (equals >= 0) return { name: word.slice(2, equals), value: word.slice(equals + 1) };
  const name = word.slice(2);
  const next = state.words[state.at + 1];
  const takes =
    table.longValue.has(name) ||
    (table.longOptional.has(name) && next !== undefined && !next.startsWith('-'));
  if (!takes) return { name, value: undefined };
  state.at += 1;
  return { name, value: next };
}

function shortOptions(state: State, word: string, table: OptionTable): Option[] {
  const found: Option[] = [];
  for (let at = 1; at < word.length; at += 1) {
    const name = word.charAt(at);
    const joined = word.slice(at + 1);
    if (table.shortValue.includes(name)) {
      if (joined === '') state.at += 1;
      const value = joined === '' ? state.words[state.at] : joined.replace(/^=/, '');
      return [...found, { name, value }];
    }
    if (table.shortNumber.includes(name)) {
      const next = state.words[state.at + 1];
      if (/^\d/.test(joined)) {
        const value = /^[\d.]+/.exec(joined)?.[0] ?? '';
        found.push({ name, value });
        at += value.length;
        continue;
      }
      if (joined === '' && next !== undefined && digits.test(next)) {
        state.at += 1;
        return [...found, { name, value: next }];
      }
    }
    if (table.shortOptional.includes(name) && joined !== '')
      return [...found, { name, value: joined }];
    found.push({ name, value: undefined });
  }
  return found;
}

/** Splits `words`; `stopAtWord` ends the options at the first word (cargo run's program arguments). */
export function splitWords(
  words: readonly string[],
  table: OptionTable,
  stopAtWord = false,
): SplitWords {
  const options: Option[] = [];
  const plain: string[] = [];
  const state: State = { words, at: 0 };
  for (; state.at < words.length; state.at += 1) {
    const word = words[state.at] ?? '';
    if (word === '--') return { options, words: plain, rest: words.slice(state.at + 1) };
    if (word.startsWith('--')) options.push(longOption(state, word, table));
    else if (word.startsWith('-') && word.length > 1)
      options.push(...shortOptions(state, word, table));
    else {
      if (stopAtWord) return { options, words: plain, rest: words.slice(state.at) };
      plain.push(word);
    }
  }
  return { options, words: plain, rest: [] };
}

/** The values of all options with one of these names. */
export function valuesOf(options: readonly Option[], ...names: readonly string[]): string[] {
  return options.flatMap((option) =>
    option.value !== undefined && names.includes(option.name) ? [option.value] : [],
  );
}

export function lastValue(
  options: readonly Option[],
  ...names: readonly string[]
): string | undefined {
  return valuesOf(options, ...names).at(-1);
}

export function hasOption(options: readonly Option[], ...names: readonly string[]): boolean {
  return options.some((option) => names.includes(option.name));
}
