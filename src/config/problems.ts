/** What is wrong in a configuration file, said so that it can be mended: place, key, what is allowed, what was meant. */
import type { z } from 'zod';
import { nearest } from '../base/nearest.ts';
import { freeTables } from './schema.ts';
import { placeOf, placesIn } from './toml-lines.ts';

export type Problem = {
  readonly file: string;
  /** From 1; 0 when the place is not known. */
  readonly line: number;
  readonly column: number;
  /** Dotted, as in the file; empty when the whole file cannot be read. */
  readonly key: string;
  readonly message: string;
};

/** `file:line:column`, as far as it is known. */
export function placeText({ file, line, column }: Omit<Problem, 'key' | 'message'>): string {
  return line > 0 ? `${file}:${line}${column > 0 ? `:${column}` : ''}` : file;
}

/** As replies and `--json` have it. */
export function told({ message, ...place }: Problem): Omit<Problem, 'message'> & {
  readonly reason: string;
} {
  return { ...place, reason: message };
}

/** `file:line:column: key: message`. */
export function describe(problem: Problem): string {
  const key = problem.key === '' ? '' : `${problem.key}: `;
  return `${placeText(problem)}: ${key}${problem.message}`;
}

/** A name of the program in the file's spelling; one of the user's own (CC) begins with a capital and stays. */
export const snakeOf = (name: string): string =>
  /^[a-z]/.test(name) ? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) : name;

/** A key of a file as the program has it. */
export const camelOf = (name: string): string =>
  name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

const snakePath = (path: readonly PropertyKey[]): (string | number)[] =>
  path.map((part) => (typeof part === 'number' ? part : snakeOf(String(part))));

function dotted(path: readonly (string | number)[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

/** The keys a strict object schema knows at `path`, in the file's spelling. */
export type KnownKeys = (path: readonly PropertyKey[]) => readonly string[];

/** The types of zod in the words of TOML. */
const typeNames: Readonly<Record<string, string>> = {
  int: 'a whole number',
  array: 'a list',
  object: 'a table',
  record: 'a table',
};

/** Wants `reportInput`, without which a value that is missing looks like a wrong one. */
function messageFor(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_value':
      return `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`;
    case 'invalid_type':
      return issue.input === undefined
        ? 'is missing'
        : `must be ${typeNames[issue.expected] ?? `a ${issue.expected}`}`;
    case 'too_small':
      return `must be ${issue.inclusive === true ? 'at least' : 'more than'} ${issue.minimum}${issue.origin === 'string' ? ' character' : ''}`;
    case 'too_big':
      return `must be at most ${issue.maximum}`;
    case 'invalid_format':
    case 'not_multiple_of':
    case 'unrecognized_keys':
    case 'invalid_union':
    case 'invalid_element':
    case 'custom':
      return issue.message;
    case 'invalid_key':
      return issue.issues[0]?.message ?? issue.message;
  }
}

/** Turns what zod found in `text` (the content of `file`) into problems, in the order of the file. */
export function problemsOf(
  error: z.ZodError,
  source: { readonly file: string; readonly text: string; readonly known: KnownKeys },
): Problem[] {
  const places = placesIn(source.text);
  const at = (path: readonly (string | number)[], message: string): Problem => {
    const place = placeOf(places, path);
    return {
      file: source.file,
      line: place?.line ?? 0,
      column: place?.column ?? 0,
      key: dotted(path),
      message,
    };
  };
  const problems = error.issues.flatMap((issue) => {
    if (issue.code !== 'unrecognized_keys') return [at(snakePath(issue.path), messageFor(issue))];
    const allowed = source.known(issue.path);
    return issue.keys.map((name) => {
      const key = name.startsWith(foreignKey) ? name.slice(foreignKey.length) : snakeOf(name);
      const meant = nearest(key, allowed);
      const hint =
        meant === undefined ? `known here: ${allowed.join(', ')}` : `did you mean "${meant}"?`;
      return at([...snakePath(issue.path), key], `there is no such key; ${hint}`);
    });
  });
  return problems.sort((a, b) => a.line - b.line || a.column - b.column);
}

/** Marks a key of a file that is not in snake_case, so that no schema knows it. */
export const foreignKey = '\0';

/** The keys of a parsed file from snake_case to camelCase, all the way down; those of free tables stay as they are. */
export function camelKeys(value: unknown, at = ''): unknown {
  if (Array.isArray(value)) return value.map((each) => camelKeys(each, `${at}[]`));
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (freeTables.has(at)) return { ...value };
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      /^[a-z][a-z0-9_]*$/.test(key) ? camelOf(key) : foreignKey + key,
      camelKeys(inner, at === '' ? key : `${at}.${key}`),
    ]),
  );
}
