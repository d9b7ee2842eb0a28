/**
 * Values of cargo's configuration, merged as cargo merges them (`ConfigValue::merge` in its src/cargo/util/context, seen with
 * 1.95): tables key by key, lists joined, of other values the one that counts more. A table keeps the folder of the file
 * that named it first, also when all that is in it comes from others: `value` of an `[env]` variable is relative to that one.
 */
import { absolute, rawOf } from './files.ts';

export type Table = Readonly<Record<string, unknown>>;

export type Values = {
  readonly kind: 'table';
  readonly base: string;
  readonly entries: Map<string, Value>;
};

export type Value =
  | Values
  | { readonly kind: 'list'; readonly base: string; readonly items: readonly unknown[] }
  | { readonly kind: 'plain'; readonly base: string; readonly value: unknown };

export function tableOf(value: unknown): Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Table)
    : {};
}

/** The values of a file; `base` is the folder that its paths are relative to. */
export function valuesIn(table: Table, base: string): Values {
  const entries = new Map<string, Value>();
  for (const [key, value] of Object.entries(table))
    if (Array.isArray(value)) entries.set(key, { kind: 'list', base, items: value });
    else if (typeof value === 'object' && value !== null)
      entries.set(key, valuesIn(tableOf(value), base));
    else entries.set(key, { kind: 'plain', base, value });
  return { kind: 'table', base, entries };
}

/** Lists that are taken as they are: a program with its arguments. */
const whole = new Set(['runner']);

/**
 * Takes `from` into `into`. With `force` it counts more than what is there, as --config does. Where a table meets something
 * else cargo ends with an error, so it doesn't matter what stays.
 */
export function merge(into: Values, from: Values, force: boolean): void {
  for (const [key, value] of from.entries) {
    const here = into.entries.get(key);
    if (here?.kind === 'table' && value.kind === 'table') merge(here, value, force);
    else if (here?.kind === 'list' && value.kind === 'list' && !whole.has(key)) {
      const items = force ? [...here.items, ...value.items] : [...value.items, ...here.items];
      into.entries.set(key, { ...here, items });
    } else if (here === undefined || force) into.entries.set(key, value);
  }
}

/** The value at a path of keys, or undefined. */
export function valueAt(values: Values, ...keys: readonly string[]): Value | undefined {
  let at: Value | undefined = values;
  for (const key of keys) at = at?.kind === 'table' ? at.entries.get(key) : undefined;
  return at;
}

/** The entries of the table at a path of keys. */
export function entriesAt(values: Values, ...keys: readonly string[]): [string, Value][] {
  const at = valueAt(values, ...keys);
  return at?.kind === 'table' ? [...at.entries] : [];
}

/** Raw, as all that is read out of values. */
export function textOf(value: Value | undefined): string | undefined {
  if (value?.kind !== 'plain' || typeof value.value !== 'string') return undefined;
  return rawOf(value.value);
}

/** A string or a list of strings, split as cargo splits: a string at spaces. */
export function wordsOf(value: Value | undefined): readonly string[] | undefined {
  const text = textOf(value);
  if (text !== undefined) return text.split(/\s+/).filter((word) => word !== '');
  if (value?.kind !== 'list') return undefined;
  return value.items.every((each) => typeof each === 'string') ? value.items.map(rawOf) : undefined;
}

/** A string as one, or a list of strings. */
export function listOf(value: Value | undefined): readonly string[] {
  const text = textOf(value);
  return text === undefined ? (wordsOf(value) ?? []) : [text];
}

/** The path that a string is, or undefined. */
export function pathOf(value: Value | undefined): string | undefined {
  const text = textOf(value);
  return value === undefined || text === undefined ? undefined : absolute(text, value.base);
}
