/**
 * Sets and removes single values in the text of a TOML file; every comment, blank line and order stays. Each edit is
 * checked by parsing: the result must say what the file said before, but for that one value, or nothing is changed.
 */
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'smol-toml';
import { fail, messageOf, ok, type Result } from '../base/result.ts';
import { placesIn, type KeyPlace, type Spot } from './toml-lines.ts';
import { tomlKey, tomlValue, type TomlValue } from './toml-value.ts';

type Path = readonly string[];
type Table = Record<string, unknown>;

const isTable = (value: unknown): value is Table =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);

const same = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && a.every((part, index) => part === b[index]);

const startsWith = (path: readonly unknown[], head: readonly unknown[]): boolean =>
  same(path.slice(0, head.length), head);

const dotted = (path: Path): string => path.map(tomlKey).join('.');

/** A copy of `tables` with the value at `path` put in, or taken out. */
function changed(tables: Table, path: Path, value: TomlValue | undefined): Table {
  const [name, ...rest] = path;
  if (name === undefined) return tables;
  const copy = { ...tables };
  const inner = copy[name];
  if (rest.length > 0) {
    copy[name] = changed(isTable(inner) ? inner : {}, rest, value);
    if (value === undefined && Object.keys(copy[name] as Table).length === 0)
      Reflect.deleteProperty(copy, name);
  } else if (value === undefined) Reflect.deleteProperty(copy, name);
  else copy[name] = value;
  return copy;
}

/** Without tables that hold nothing: a header says nothing by itself. */
function meaning(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(meaning);
  if (!isTable(value)) return value;
  const kept = Object.entries(value)
    .map(([name, each]) => [name, meaning(each)] as const)
    .filter(([, each]) => !isTable(each) || Object.keys(each).length > 0);
  return Object.fromEntries(kept);
}

function replaced(lines: readonly string[], from: Spot, till: Spot, by: string): string[] {
  const head = (lines[from.line] ?? '').slice(0, from.at);
  const tail = (lines[till.line] ?? '').slice(till.at);
  return [...lines.slice(0, from.line), head + by + tail, ...lines.slice(till.line + 1)];
}

/** The line, from 0, after the last key that stands under the header at `index` of `places`. */
function endOfTable(places: readonly KeyPlace[], index: number): number {
  let line = places[index]?.line ?? 0;
  for (const place of places.slice(index + 1)) {
    if (place.kind === 'table') break;
    line = (place.value?.till.line ?? line) + 1;
  }
  return line;
}

/** The value as the file has it now. */
function valueAt(tables: Table, path: readonly (string | number)[]): unknown {
  let at: unknown = tables;
  for (const part of path) at = isTable(at) ? at[String(part)] : undefined;
  return at;
}

function withValue(text: string, path: Path, value: TomlValue): string {
  const places = placesIn(text);
  const ending = text.includes('\r\n') ? '\r' : '';
  const lines = text.split('\n');
  const own = places.find((place) => place.kind === 'key' && startsWith(path, place.path));
  if (own?.value !== undefined) {
    // Where the key stands in an inline table, that is written anew.
    const rest = path.slice(own.path.length);
    const whole = valueAt(parse(text), own.path);
    const put = rest.length === 0 ? value : changed(isTable(whole) ? whole : {}, rest, value);
    return replaced(lines, own.value.from, own.value.till, tomlValue(put as TomlValue)).join('\n');
  }
  const parent = path.slice(0, -1);
  const header = places.findIndex((place) => place.kind === 'table' && same(place.path, parent));
  if (header >= 0) {
    lines.splice(
      endOfTable(places, header),
      0,
      `${tomlKey(path.at(-1) ?? '')} = ${tomlValue(value)}${ending}`,
    );
    return lines.join('\n');
  }
  // Siblings that are written with dots under another header want one more of their kind.
  const sibling = places.findLast(
    (place) => place.kind === 'key' && startsWith(place.path, parent),
  );
  if (sibling?.value !== undefined && parent.length > 0) {
    const name = dotted(path.slice(sibling.table));
    lines.splice(sibling.value.till.line + 1, 0, `${name} = ${tomlValue(value)}${ending}`);
    return lines.join('\n');
  }
  const between = text === '' ? '' : text.endsWith('\n') ? `${ending}\n` : `${ending}\n${ending}\n`;
  const block = `[${dotted(parent)}]${ending}\n${tomlKey(path.at(-1) ?? '')} = ${tomlValue(value)}${ending}\n`;
  return `${text}${between}${block}`;
}

/** Takes a header away that has nothing under it any more, with the blank lines above it. */
function withoutEmptyHeader(text: string, parent: Path): string {
  const places = placesIn(text);
  const at = places.findIndex((place) => place.kind === 'table' && same(place.path, parent));
  const header = places[at];
  if (header === undefined) return text;
  const next = places[at + 1];
  if (next?.kind === 'key') return text;
  const lines = text.split('\n');
  const till = next === undefined ? lines.length : next.line - 1;
  if (lines.slice(header.line, till).some((line) => line.trim() !== '')) return text;
  let from = header.line - 1;
  while (from > 0 && (lines[from - 1] ?? '').trim() === '') from -= 1;
  const tail = lines.slice(till);
  const kept = [...lines.slice(0, from), ...(from > 0 && tail.length > 0 ? [''] : []), ...tail];
  const joined = kept.join('\n');
  return joined === '' || joined.endsWith('\n') ? joined : `${joined}\n`;
}

function withoutValue(text: string, path: Path): string {
  const places = placesIn(text);
  const own = places.find((place) => place.kind === 'key' && startsWith(path, place.path));
  if (own?.value !== undefined && own.path.length < path.length) {
    const whole = valueAt(parse(text), own.path);
    const put = changed(isTable(whole) ? whole : {}, path.slice(own.path.length), undefined);
    const lines = text.split('\n');
    return replaced(lines, own.value.from, own.value.till, tomlValue(put as TomlValue)).join('\n');
  }
  const gone = places.filter((place) => place.kind === 'key' && startsWith(place.path, path));
  const lines = text.split('\n');
  for (const place of gone.reverse()) {
    const till = place.value?.till.line ?? place.line - 1;
    lines.splice(place.line - 1, till - place.line + 2);
  }
  let rest = lines.join('\n');
  const headers = places.filter((place) => place.kind === 'table' && startsWith(place.path, path));
  for (const { path: each } of headers.reverse()) rest = withoutEmptyHeader(rest, each.map(String));
  return withoutEmptyHeader(rest, path.slice(0, -1));
}

/** The edit, if it did what was asked and nothing else. */
function checked(text: string, wanted: Table, edit: () => string): Result<string> {
  try {
    const after = edit();
    if (isDeepStrictEqual(meaning(parse(after)), meaning(wanted))) return ok(after);
  } catch {
    // What cannot be parsed any more was no good edit.
  }
  return fail('the file is written in a way that cannot be edited safely', 'rch config edit');
}

function parsed(text: string): Result<Table> {
  try {
    return ok(parse(text));
  } catch (thrown) {
    return fail(
      `the file is no TOML: ${messageOf(thrown).split('\n')[0] ?? ''}`,
      'rch config edit',
    );
  }
}

/** The first part of `path` that stands for something else than a table. */
function inTheWay(tables: Table, path: Path): string | undefined {
  for (let length = 1; length < path.length; length++) {
    const at = valueAt(tables, path.slice(0, length));
    if (at !== undefined && !isTable(at)) return dotted(path.slice(0, length));
  }
  return undefined;
}

/** The text with the value at `path`, which has at least two parts. */
export function setValue(text: string, path: Path, value: TomlValue): Result<string> {
  const before = parsed(text);
  if (!before.ok) return before;
  const other = inTheWay(before.value, path);
  if (other !== undefined) return fail(`${other} is no table in it`, 'rch config edit');
  return checked(text, changed(before.value, path, value), () => withValue(text, path, value));
}

/** The text without the value, or the table, at `path`; undefined when it has none. */
export function unsetValue(text: string, path: Path): Result<string | undefined> {
  const before = parsed(text);
  if (!before.ok) return before;
  if (valueAt(before.value, path) === undefined) return ok(undefined);
  return checked(text, changed(before.value, path, undefined), () => withoutValue(text, path));
}
