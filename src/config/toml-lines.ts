/**
 * Where things stand in the text of a TOML file: smol-toml gives values without places, and an edit that keeps
 * comments and order needs lines. Follows TOML 1.0 as far as headers, keys, strings and brackets go.
 */

/** A place in the text, both from 0. */
export type Spot = { readonly line: number; readonly at: number };

/** `path` holds table names, and indices for arrays of tables; `line` and `column` count from 1. */
export type KeyPlace = {
  readonly kind: 'table' | 'key';
  readonly path: readonly (string | number)[];
  readonly line: number;
  readonly column: number;
  /** How many parts of `path` are those of the table it stands in; of a header all. */
  readonly table: number;
  /** Of a key: where its value begins and ends, without what follows it in the line. */
  readonly value: { readonly from: Spot; readonly till: Spot } | undefined;
};

type State = { open: '"""' | "'''" | undefined; depth: number };

/**
 * Follows one line's strings, comments and brackets; what stays open goes on in the next line. Gives where the comment
 * begins, or the line ends.
 */
function follow(line: string, from: number, state: State): number {
  let at = from;
  while (at < line.length) {
    if (state.open !== undefined) {
      const end = endOfLong(line, at, state.open);
      if (end < 0) return line.length;
      at = end;
      state.open = undefined;
      continue;
    }
    const three = line.slice(at, at + 3);
    if (three === '"""' || three === "'''") {
      state.open = three;
      at += 3;
      continue;
    }
    const char = line.charAt(at);
    if (char === '#') return at;
    if (char === '"' || char === "'") at = endOfString(line, at, char);
    else if (char === '[' || char === '{') state.depth += 1;
    else if (char === ']' || char === '}') state.depth -= 1;
    at += 1;
  }
  return line.length;
}

/** Where the long string that is open at `at` has ended in this line, its quotes included; -1 when it goes on. */
function endOfLong(line: string, at: number, open: '"""' | "'''"): number {
  for (let i = at; i < line.length; i++) {
    if (line.charAt(i) === '\\' && open === '"""') i += 1;
    else if (line.startsWith(open, i)) {
      let end = i + 3;
      // Up to two quotes may stand right before the closing ones.
      while (end < i + 5 && line.charAt(end) === open.charAt(0)) end += 1;
      return end;
    }
  }
  return -1;
}

/** The index of the quote that closes the one-line string opened at `at`. */
function endOfString(line: string, at: number, quote: string): number {
  for (let i = at + 1; i < line.length; i++) {
    const char = line.charAt(i);
    if (char === '\\' && quote === '"') i += 1;
    else if (char === quote) return i;
  }
  return line.length;
}

const keyPart = /\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*/y;

/** Reads `a.b."c d"` from `at`; undefined when there is no key. */
function dottedKey(line: string, at: number): { parts: string[]; end: number } | undefined {
  const parts: string[] = [];
  let end = at;
  for (;;) {
    keyPart.lastIndex = end;
    const match = keyPart.exec(line);
    if (match === null) return undefined;
    parts.push(match[1] ?? match[2] ?? match[3] ?? '');
    end = keyPart.lastIndex;
    if (line.charAt(end) !== '.') return { parts, end };
    end += 1;
  }
}

/** The path of a header's table, and the next index of an array of tables. */
function tableOf(
  parts: readonly string[],
  array: boolean,
  counts: Map<string, number>,
): (string | number)[] {
  if (!array) return [...parts];
  const key = JSON.stringify(parts);
  const count = counts.get(key) ?? 0;
  counts.set(key, count + 1);
  return [...parts, count];
}

/** Where the value that begins in line `line` at `from` ends. */
function valueFrom(
  lines: readonly string[],
  line: number,
  from: number,
): { from: Spot; till: Spot } {
  const state: State = { open: undefined, depth: 0 };
  const first = lines[line] ?? '';
  const begin = from + first.slice(from).search(/\S|$/);
  let at = line;
  let end = follow(first, begin, state);
  while ((state.open !== undefined || state.depth > 0) && at + 1 < lines.length) {
    at += 1;
    end = follow(lines[at] ?? '', 0, state);
  }
  const till = (lines[at] ?? '').slice(0, end).trimEnd().length;
  return { from: { line, at: begin }, till: { line: at, at: till } };
}

/** Every header and every key of the file that stands at the start of a line, in order. */
export function placesIn(text: string): KeyPlace[] {
  const places: KeyPlace[] = [];
  const counts = new Map<string, number>();
  const lines = text.split('\n');
  let table: (string | number)[] = [];
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? '';
    const place = { line: index + 1, column: line.length - line.trimStart().length + 1 };
    const header = /^\s*(\[\[?)/.exec(line);
    if (header !== null) {
      const name = dottedKey(line, header[0].length);
      if (name === undefined) continue;
      table = tableOf(name.parts, header[1] === '[[', counts);
      places.push({ kind: 'table', path: table, ...place, table: table.length, value: undefined });
      continue;
    }
    const key = dottedKey(line, 0);
    if (key === undefined || line.charAt(key.end) !== '=') continue;
    const value = valueFrom(lines, index, key.end + 1);
    const path = [...table, ...key.parts];
    places.push({ kind: 'key', path, ...place, table: table.length, value });
    index = value.till.line;
  }
  return places;
}

/**
 * The place of the longest part of `path` that the text has a line for: its own, else the first of what lies below it, as
 * `[[a]]` and `[a.b]` stand for `a` too.
 */
export function placeOf(
  places: readonly KeyPlace[],
  path: readonly (string | number)[],
): KeyPlace | undefined {
  for (let length = path.length; length > 0; length--) {
    const wanted = JSON.stringify(path.slice(0, length));
    const below = (place: KeyPlace): boolean =>
      JSON.stringify(place.path.slice(0, length)) === wanted;
    const found =
      places.find((place) => place.path.length === length && below(place)) ?? places.find(below);
    if (found !== undefined) return found;
  }
  return undefined;
}
