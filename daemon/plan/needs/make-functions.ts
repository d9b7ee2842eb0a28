/**
 * make's functions on texts, over all values that variables are ever given at once: what takes some of its words gives
 * all, and both branches of a condition count. GNU make manual, "Functions for Transforming Text". Pure.
 */

/** Stand around `X` of `$(shell X)`, so that it is told from what a recipe's own `;` separates. */
export const CALL = '\x03';
export const CALLED = '\x04';

/** Without the `./` that make takes off the front of a name, however often it is there (`parse_file_seq` of GNU make). */
export const plainName = (name: string): string => name.replace(/^(\.\/+)+/, '');

export const splitWords = (text: string): string[] =>
  text.split(/\s+/).filter((word) => word !== '');

/** Each `X` of `$(shell X)` in a marked text. */
export function callsOf(text: string): string[] {
  return [...text.matchAll(/\x03([^\x04]*)\x04/g)].map(([, call = '']) => call);
}

/** Of a marked text that shows nowhere, what it calls. */
export function onlyCalls(text: string): string {
  return callsOf(text)
    .map((call) => CALL + call + CALLED)
    .join(' ');
}

const each = (text: string, change: (word: string) => string): string =>
  splitWords(text).map(change).join(' ');

/** `%.c` to `%.o`; a pattern without `%` means that word alone. */
export function patsubst(pattern: string, replacement: string, text: string): string {
  const at = pattern.indexOf('%');
  const before = pattern.slice(0, Math.max(at, 0));
  const after = pattern.slice(at + 1);
  return each(text, (word) => {
    if (at < 0) return word === pattern ? replacement : word;
    if (word.length < before.length + after.length) return word;
    if (!word.startsWith(before) || !word.endsWith(after)) return word;
    return replacement.replace('%', () => word.slice(before.length, word.length - after.length));
  });
}

const slash = (word: string): number => word.lastIndexOf('/') + 1;

function suffixOf(word: string): string {
  const dot = word.lastIndexOf('.');
  return dot < slash(word) ? '' : word.slice(dot);
}

type Words = readonly (string | undefined)[];

/** By name; their arguments are expanded. A function that is not here gives all its arguments. */
export const textFunctions: ReadonlyMap<string, (args: Words) => string> = new Map([
  [
    'subst',
    ([from = '', to = '', text = '']: Words) => (from === '' ? text : text.replaceAll(from, to)),
  ],
  ['patsubst', ([from = '', to = '', text = '']: Words) => patsubst(from.trim(), to.trim(), text)],
  ['filter', ([, text = '']: Words) => text],
  ['filter-out', ([, text = '']: Words) => text],
  ['findstring', ([found = '']: Words) => found],
  ['word', ([, text = '']: Words) => text],
  ['wordlist', ([, , text = '']: Words) => text],
  ['dir', ([text = '']: Words) => each(text, (word) => word.slice(0, slash(word)) || './')],
  ['notdir', ([text = '']: Words) => each(text, (word) => word.slice(slash(word)))],
  ['suffix', ([text = '']: Words) => each(text, suffixOf)],
  [
    'basename',
    ([text = '']: Words) =>
      each(text, (word) => word.slice(0, word.length - suffixOf(word).length)),
  ],
  ['addsuffix', ([suffix = '', text = '']: Words) => each(text, (word) => word + suffix)],
  ['addprefix', ([prefix = '', text = '']: Words) => each(text, (word) => prefix + word)],
  [
    'join',
    ([left = '', right = '']: Words) => {
      const tails = splitWords(right);
      return splitWords(left)
        .map((word, at) => word + (tails[at] ?? ''))
        .join(' ');
    },
  ],
  ['if', ([asked = '', ...branches]: Words) => [onlyCalls(asked), ...branches].join(' ')],
  ['info', ([text = '']: Words) => onlyCalls(text)],
  ['warning', ([text = '']: Words) => onlyCalls(text)],
  ['error', ([text = '']: Words) => onlyCalls(text)],
  ['origin', () => ''],
  ['flavor', () => ''],
  // One within another is to the shell what a substitution is.
  ['shell', (args: Words) => CALL + args.join(',').replace(/[\x03\x04]/g, '`') + CALLED],
]);

/** Those that give (some of) their arguments. */
export const plainFunctions: ReadonlySet<string> = new Set(
  'strip sort words firstword lastword wildcard realpath abspath or and file guile let intcmp'.split(
    ' ',
  ),
);
