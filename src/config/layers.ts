/** One file of configuration, read and checked by itself, so that each problem has its place. Never throws. */
import { constants, lstatSync, statSync } from 'node:fs';
import { cosmiconfigSync, defaultLoadersSync, type PublicExplorerSync } from 'cosmiconfig';
import { parse, TomlError } from 'smol-toml';
import type { z } from 'zod';
import { messageOf } from '../base/result.ts';
import { knownKeys } from './known.ts';
import { camelKeys, problemsOf, type Problem } from './problems.ts';

export type Table = Readonly<Record<string, unknown>>;

export type Layer<T> = {
  readonly file: string;
  /** Empty where there is no such file. */
  readonly text: string;
  /** Undefined: there is no such file, or it cannot be parsed. */
  readonly raw: Table | undefined;
  readonly value: T | undefined;
  readonly problems: readonly Problem[];
};

type Loaded = { readonly text: string; readonly table: unknown };

let explorer: PublicExplorerSync | undefined;

/** The text is kept for places in messages; `$import` of cosmiconfig is never seen, as it looks at the top. */
const asToml = (_: string, text: string): Loaded => ({ text, table: parse(text) });

/**
 * A file is TOML whatever it is called: the loaders that cosmiconfig would choose by the name, of which those for `.js`
 * execute the file, are all replaced.
 */
const loaders = Object.fromEntries(
  [...Object.keys(defaultLoadersSync), 'default'].map((extension) => [extension, asToml]),
);

/**
 * cosmiconfig with TOML alone. When made, it looks for settings of its own in the current folder, where
 * .config/config.js of a cloned repository would be executed: so it is made in `/`.
 */
function tomlExplorer(): PublicExplorerSync {
  if (explorer !== undefined) return explorer;
  let back: string | undefined;
  try {
    back = process.cwd();
  } catch {
    back = undefined;
  }
  process.chdir('/');
  try {
    explorer = cosmiconfigSync('rch', {
      searchPlaces: ['config.toml'],
      loaders,
      // Of a file called package.* too, all counts.
      packageProp: [],
      cache: false,
      searchStrategy: 'none',
    });
  } finally {
    if (back !== undefined) process.chdir(back);
  }
  return explorer;
}

const codeOf = (thrown: unknown): unknown =>
  thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;

function isMissing(thrown: unknown): boolean {
  const code = codeOf(thrown);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function unreadable(file: string, thrown: unknown): Problem {
  if (thrown instanceof TomlError) {
    const message = thrown.message.split('\n')[0]?.replace(/^Invalid TOML document: /, '') ?? '';
    return { file, line: thrown.line, column: thrown.column, key: '', message };
  }
  const forbidden = codeOf(thrown) === 'EACCES' || codeOf(thrown) === 'EPERM';
  const message = forbidden ? 'you have no permission to read it' : messageOf(thrown);
  return { file, line: 0, column: 0, key: '', message };
}

type Prepare = (table: unknown) => unknown;
const asItIs: Prepare = (table) => table;

function check<S extends z.ZodType>(
  file: string,
  loaded: Loaded,
  schema: S,
  prepare: Prepare,
): Layer<z.infer<S>> {
  const { text } = loaded;
  const raw = camelKeys(loaded.table) as Table;
  const checked = schema.safeParse(prepare(raw), { reportInput: true });
  if (checked.success) return { file, text, raw, value: checked.data, problems: [] };
  const problems = problemsOf(checked.error, { file, text, known: knownKeys(schema) });
  return { file, text, raw, value: undefined, problems };
}

/** The largest file of configuration, bytes. */
const MOST_BYTES = 1024 * 1024;

/** Throws for what would be read without end, or never: a device, a pipe, a huge file. */
function mustBePlain(file: string, foreign: boolean): void {
  const { size, mode } = foreign ? lstatSync(file) : statSync(file);
  const kind = mode & constants.S_IFMT;
  if (kind === constants.S_IFLNK)
    throw new Error('it is a symbolic link: put the file itself there');
  if (kind !== constants.S_IFREG) throw new Error('it is not a regular file');
  if (size > MOST_BYTES) throw new Error(`it has ${size} bytes, of at most ${MOST_BYTES}`);
}

export type LayerOptions = {
  /** Changes what was read before it is checked. */
  readonly prepare?: Prepare | undefined;
  /** The file came with a project: a link is not followed, as it may lead anywhere. */
  readonly foreign?: boolean;
};

/** Reads and checks a file, whatever is in it. */
export function readLayer<S extends z.ZodType>(
  file: string,
  schema: S,
  { prepare = asItIs, foreign = false }: LayerOptions = {},
): Layer<z.infer<S>> {
  try {
    mustBePlain(file, foreign);
    const result = tomlExplorer().load(file);
    const loaded = (result?.config as Loaded | undefined) ?? { text: '', table: {} };
    return check(file, loaded, schema, prepare);
  } catch (thrown) {
    const problems = isMissing(thrown) ? [] : [unreadable(file, thrown)];
    return { file, text: '', raw: undefined, value: undefined, problems };
  }
}

/** Checks a text as if it stood in the file. */
export function checkText(
  file: string,
  text: string,
  schema: z.ZodType,
  prepare = asItIs,
): readonly Problem[] {
  try {
    return check(file, { text, table: parse(text) }, schema, prepare).problems;
  } catch (thrown) {
    return [unreadable(file, thrown)];
  }
}
