/**
 * JSON (RFC 8259) as text: where each value stands, so that a file can be changed in one place and stay as it is,
 * with its own spaces, number spellings and line ends, everywhere else.
 */

export type JsonNode = { readonly start: number; readonly end: number } & (
  | { readonly kind: 'object'; readonly members: readonly JsonMember[] }
  | { readonly kind: 'array'; readonly items: readonly JsonNode[] }
  | { readonly kind: 'scalar'; readonly value: unknown }
);
export type JsonMember = { readonly start: number; readonly key: string; readonly value: JsonNode };

/** Why a text is no JSON, and where: line and column count from 1, the column in characters. */
export type JsonFlaw = {
  readonly reason: string;
  readonly line: number;
  readonly column: number;
};
type Parsed =
  | { readonly ok: true; readonly value: JsonNode }
  | { readonly ok: false; readonly flaw: JsonFlaw };

const MOST_DEPTH = 200;
const space = /[ \t\r\n]*/y;
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const word = /true|false|null/y;

class Flawed extends Error {
  readonly at: number;
  constructor(at: number, reason: string) {
    super(reason);
    this.at = at;
  }
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): JsonNode {
    this.#skip();
    const node = this.#value(0);
    this.#skip();
    if (this.#at < this.#text.length) throw new Flawed(this.#at, 'something stands after its end');
    return node;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #skip(): void {
    this.#match(space);
  }

  #next(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at += 1;
    return true;
  }

  #wrong(wanted: string): never {
    const char = this.#text[this.#at];
    if (char === undefined) throw new Flawed(this.#at, `it ends where ${wanted} should stand`);
    const comment = char === '/' ? ', and JSON has no comments' : '';
    throw new Flawed(this.#at, `${JSON.stringify(char)} stands where ${wanted} should${comment}`);
  }

  #value(depth: number): JsonNode {
    const start = this.#at;
    if (depth > MOST_DEPTH) throw new Flawed(start, 'it is nested too deeply');
    if (this.#next('{')) return this.#object(start, depth);
    if (this.#next('[')) return this.#array(start, depth);
    const text = this.#match(string) ?? this.#match(number) ?? this.#match(word);
    if (text === undefined) {
      if (this.#text[start] === '"') throw new Flawed(start, 'a string is not well-formed');
      this.#wrong('a value');
    }
    const value: unknown = JSON.parse(text);
    return { kind: 'scalar', value, start, end: this.#at };
  }

  #object(start: number, depth: number): JsonNode {
    const members: JsonMember[] = [];
    this.#skip();
    if (this.#next('}')) return { kind: 'object', members, start, end: this.#at };
    for (;;) {
      this.#skip();
      const at = this.#at;
      const key = this.#match(string) ?? this.#wrong('a name in quotes');
      this.#skip();
      if (!this.#next(':')) this.#wrong('a colon');
      this.#skip();
      members.push({ start: at, key: String(JSON.parse(key)), value: this.#value(depth + 1) });
      this.#skip();
      if (this.#next('}')) return { kind: 'object', members, start, end: this.#at };
      if (!this.#next(',')) this.#wrong('a comma or "}"');
    }
  }

  #array(start: number, depth: number): JsonNode {
    const items: JsonNode[] = [];
    this.#skip();
    if (this.#next(']')) return { kind: 'array', items, start, end: this.#at };
    for (;;) {
      this.#skip();
      items.push(this.#value(depth + 1));
      this.#skip();
      if (this.#next(']')) return { kind: 'array', items, start, end: this.#at };
      if (!this.#next(',')) this.#wrong('a comma or "]"');
    }
  }
}

export function parseJsonText(text: string): Parsed {
  try {
    return { ok: true, value: new Reader(text).whole() };
  } catch (thrown) {
    if (!(thrown instanceof Flawed)) throw thrown;
    const before = text.slice(0, thrown.at).split('\n');
    const column = Array.from(before.at(-1) ?? '').length + 1;
    return { ok: false, flaw: { reason: thrown.message, line: before.length, column } };
  }
}

/** The value of a member; of a name that stands twice the last counts, as for JSON.parse. */
export function memberOf(node: JsonNode, key: string): JsonNode | undefined {
  return node.kind === 'object'
    ? node.members.findLast((member) => member.key === key)?.value
    : undefined;
}

/** What a node stands for. */
export function valueOf(node: JsonNode): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.value;
    case 'array':
      return node.items.map(valueOf);
    case 'object':
      return Object.fromEntries(node.members.map(({ key, value }) => [key, valueOf(value)]));
  }
}

/** How a file is laid out: its line end, and one step of its indentation. */
type Manner = { readonly eol: string; readonly step: string };

function mannerOf(text: string): Manner {
  const step = /\n([ \t]+)\S/.exec(text)?.[1] ?? '  ';
  return { eol: text.includes('\r\n') ? '\r\n' : '\n', step };
}

/** The spaces at the beginning of the line in which `at` lies. */
function indentAt(text: string, at: number): string {
  const line = text.slice(text.lastIndexOf('\n', at - 1) + 1, at);
  return /^[ \t]*/.exec(line)?.[0] ?? '';
}

function spread(value: unknown, indent: string, { eol, step }: Manner): string {
  return JSON.stringify(value, null, step).split('\n').join(`${eol}${indent}`);
}

const splice = (text: string, from: number, to: number, by: string): string =>
  text.slice(0, from) + by + text.slice(to);

/** Puts the first thing into an empty container. */
function fill(text: string, node: JsonNode, name: string, value: unknown): string {
  const manner = mannerOf(text);
  const outer = indentAt(text, node.start);
  const inner = outer + manner.step;
  const inside = `${manner.eol}${inner}${name}${spread(value, inner, manner)}${manner.eol}${outer}`;
  return splice(text, node.start + 1, node.end - 1, inside);
}

/** Whether the things of a container stand on lines of their own. */
const isSpread = (text: string, node: JsonNode, first: number): boolean =>
  text.slice(node.start, first).includes('\n');

/** The text with `value` as the first item of the array `node`. */
export function withFirstItem(text: string, node: JsonNode, value: unknown): string {
  const first = node.kind === 'array' ? node.items[0] : undefined;
  if (first === undefined) return fill(text, node, '', value);
  if (!isSpread(text, node, first.start))
    return splice(text, first.start, first.start, `${JSON.stringify(value)}, `);
  const manner = mannerOf(text);
  const indent = indentAt(text, first.start);
  const item = `${spread(value, indent, manner)},${manner.eol}${indent}`;
  return splice(text, first.start, first.start, item);
}

/** The text with a member more at the end of the object `node`. */
export function withMember(text: string, node: JsonNode, key: string, value: unknown): string {
  const name = `${JSON.stringify(key)}: `;
  const first = node.kind === 'object' ? node.members[0] : undefined;
  const last = node.kind === 'object' ? node.members.at(-1) : undefined;
  if (first === undefined || last === undefined) return fill(text, node, name, value);
  const at = last.value.end;
  if (!isSpread(text, node, first.start))
    return splice(text, at, at, `, ${name}${JSON.stringify(value)}`);
  const manner = mannerOf(text);
  const indent = indentAt(text, first.start);
  return splice(text, at, at, `,${manner.eol}${indent}${name}${spread(value, indent, manner)}`);
}

/** The text without the item or member at `index`, and without its comma. */
export function without(text: string, node: JsonNode, index: number): string {
  const spans =
    node.kind === 'array'
      ? node.items
      : node.kind === 'object'
        ? node.members.map((member) => ({ start: member.start, end: member.value.end }))
        : [];
  const [before, own, after] = [spans[index - 1], spans[index], spans[index + 1]];
  if (own === undefined) return text;
  if (before !== undefined) return splice(text, before.end, own.end, '');
  if (after !== undefined) return splice(text, own.start, after.start, '');
  return splice(text, node.start + 1, node.end - 1, '');
}
