/** Values as TOML writes them on one line. */

export type TomlValue =
  | string
  | number
  | boolean
  | readonly TomlValue[]
  | { readonly [name: string]: TomlValue };

/** A basic string of TOML; JSON escapes the same, but not DEL. */
export function tomlString(text: string): string {
  return JSON.stringify(text).replace(/\u007f/g, '\\u007f');
}

/** A key as it stands in a header or before `=`. */
export function tomlKey(name: string): string {
  return /^[A-Za-z0-9_-]+$/.test(name) ? name : tomlString(name);
}

function isList(value: TomlValue): value is readonly TomlValue[] {
  return Array.isArray(value);
}

export function tomlValue(value: TomlValue): string {
  if (typeof value === 'string') return tomlString(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (isList(value)) return `[${value.map(tomlValue).join(', ')}]`;
  const entries = Object.entries(value).map(
    ([name, each]) => `${tomlKey(name)} = ${tomlValue(each)}`,
  );
  return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
}
