/**
 * Where things stand in the text of a TOML file: smol-toml gives values without places, and an edit that keeps
 * comments and order needs lines. Follows TOML 1.0 as far as headers, keys, strings and brackets go.
 */

/** `path` holds table names, and indices for arrays of tables; `line` and `column` count from 1. */
export type KeyPlace = {
  readonly kind: 'table' | 'key';
  readonly path: readonly (string | number)[];
  readonly line: number;
  readonly column: number;
};

type State = { open: '"""' | "'''" | undefined; depth: number };

/** Follows one line's strings, comments and brackets; what stays open goes on in the next line. */
function follow(line: string, from: number, state: State): void {
  let at = from;
  while (at < line.length) {
    if (state.open !== undefined) {
      const end = line.indexOf(state.open, at);
      if (end < 0) return;
      at = end + 3;
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
    if (char === '#') return;
    if (char === '"' || char === "'") at = endOfString(line, at, char);
    else if (char === '[' || char === '{') state.depth += 1;
    else if (char === ']' || char === '}') state.depth -= 1;
    at += 1;
  }
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

/** Every header and every key of the file that stands at the start of a line, in order. */
export function placesIn(text: string): KeyPlace[] {
  const places: KeyPlace[] = [];
  const counts = new Map<string, number>();
  const state: State = { open: undefined, depth: 0 };
  let table: (string | number)[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (state.open !== undefined || state.depth > 0) {
      follow(line, 0, state);
      continue;
    }
    const column = line.length - line.trimStart().length + 1;
    const header = /^\s*(\[\[?)/.exec(line);
    if (header !== null) {
      const name = dottedKey(line, header[0].length);
      if (name === undefined) continue;
      table = name.parts;
      if (header[1] === '[[') {
        const key = JSON.stringify(name.parts);
        const count = counts.get(key) ?? 0;
        counts.set(key, count + 1);
        table = [...name.parts, count];
      }
      places.push({ kind: 'table', path: table, line: index + 1, column });
      continue;
    }
    const key = dottedKey(line, 0);
    if (key === undefined || line.charAt(key.end) !== '=') continue;
    places.push({ kind: 'key', path: [...table, ...key.parts], line: index + 1, column });
    follow(line, key.end + 1, state);
  }
  return places;
}

/** The place of the longest part of `path` that the text has a line for. */
export function placeOf(
  places: readonly KeyPlace[],
  path: readonly (string | number)[],
): KeyPlace | undefined {
  for (let length = path.length; length > 0; length--) {
    const wanted = JSON.stringify(path.slice(0, length));
    const found = places.find((place) => JSON.stringify(place.path) === wanted);
    if (found !== undefined) return found;
  }
  return undefined;
}
