/**
 * The case files: TOML, one file a family of tools, in `cases/` here and in the installation's `lib/cases/`.
 *
 * ```toml
 * tools = ["gcc", "clang"]      # each case is run for each of them; {cc} in a line stands for the tool
 * remote_share = 0.8            # of the runs, at least so many must truly run on the worker
 * [defaults]                    # for every case of the file: normalise, differs, order, env
 * [files.hello]                 # a set of files, by path; a value is a text or { text, mode, link, folder }
 * "hello.c" = "int main(void) { return 0; }\n"
 * [[case]]
 * name = "compiles"             # unique for a tool
 * use = ["hello"]               # sets of files that are laid
 * files = { }                   # and files of this case alone
 * before = "…"                  # a shell line run here, by the real tools, once; what it leaves is laid too
 * run = "{cc} -c hello.c"       # the shell line that is compared
 * stdin = "…"                   # a file with this text is its standard input
 * env = { NAME = "value" }
 * covers = ["-c"]               # entries of invocations.toml that this case is for
 * needs = "…"                   # a shell line that must succeed here, else the case is skipped by name
 * local = "…"                   # why it may run here
 * again = { says = "…" }        # freshness: run once more, on the other side, its output must match (regular expression);
 *                               # { run = "…", says = "…", never = "…" }: another line, and what it must not say
 * differs = ["*.gcda"]          # globs of files whose bytes the tool itself does not reproduce
 * normalise = ["time"]          # what in its output the tool itself does not reproduce; normalise.ts
 * order = "any"                 # outputs are written side by side: the order of their times says nothing
 * ```
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { z } from 'zod';
import { fail, messageOf, ok, type Result } from '../../base/result.ts';
import { normalisations } from './normalise.ts';
import { hashOf } from './streams.ts';

const laidFile = z.union([
  z.string(),
  z.strictObject({
    text: z.string().default(''),
    /** Octal. */
    mode: z
      .string()
      .regex(/^[0-7]{3,4}$/)
      .optional(),
    /** A symbolic link to this. */
    link: z.string().optional(),
    /** An empty folder. */
    folder: z.literal(true).optional(),
  }),
]);
const laidFiles = z.record(z.string(), laidFile);
export type LaidFile = z.infer<typeof laidFile>;

const lasting = {
  normalise: z.array(z.enum(normalisations)).default([]),
  differs: z.array(z.string()).default([]),
  order: z.enum(['kept', 'any']).optional(),
  env: z.record(z.string(), z.string()).default({}),
};

const writtenCase = z.strictObject({
  name: z.string().min(1),
  tools: z.array(z.string()).optional(),
  use: z.array(z.string()).default([]),
  files: laidFiles.default({}),
  before: z.string().optional(),
  run: z.string().min(1),
  stdin: z.string().optional(),
  covers: z.array(z.string()).default([]),
  needs: z.string().optional(),
  local: z.string().min(10).optional(),
  again: z
    .strictObject({ run: z.string().optional(), says: z.string(), never: z.string().optional() })
    .optional(),
  ...lasting,
});

const caseFile = z.strictObject({
  tools: z.array(z.string()).min(1),
  remote_share: z.number().min(0).max(1),
  defaults: z.strictObject(lasting).prefault({}),
  files: z.record(z.string(), laidFiles).default({}),
  case: z.array(writtenCase).min(1),
});

/** One case for one tool, with everything it is made of in place. */
export type Case = {
  /** `gcc: compiles`. */
  readonly id: string;
  readonly tool: string;
  /** Of the tools that a case is written for, the one that stands for all in a quick run; another in each case. */
  readonly quick: boolean;
  readonly files: Readonly<Record<string, LaidFile>>;
  readonly before: string | undefined;
  readonly run: string;
  readonly stdin: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly covers: readonly string[];
  readonly needs: string | undefined;
  readonly local: string | undefined;
  readonly again:
    | { readonly run: string; readonly says: RegExp; readonly never: RegExp | undefined }
    | undefined;
  readonly normalise: readonly (typeof normalisations)[number][];
  readonly differs: readonly string[];
  readonly order: 'kept' | 'any';
};

export type CaseSet = {
  /** Without its suffix: `c`, `cargo`. */
  readonly name: string;
  readonly remoteShare: number;
  readonly cases: readonly Case[];
};

type Written = z.infer<typeof writtenCase>;
type File = z.infer<typeof caseFile>;

function caseFor(tool: string, written: Written, file: File): Case {
  const { defaults } = file;
  const tools = written.tools ?? file.tools;
  const fill = (line: string): string => line.replaceAll('{cc}', tool);
  const sets = written.use.map((name) => {
    const set = file.files[name];
    if (set === undefined) throw new Error(`${written.name}: there is no set of files "${name}"`);
    return set;
  });
  const { again } = written;
  return {
    id: `${tool}: ${written.name}`,
    tool,
    quick: tools[hashOf(written.name) % tools.length] === tool,
    files: Object.fromEntries(
      Object.entries(Object.assign({}, ...sets, written.files) as Record<string, LaidFile>).map(
        ([path, laid]) => [path, typeof laid === 'string' ? fill(laid) : laid],
      ),
    ),
    before: written.before === undefined ? undefined : fill(written.before),
    run: fill(written.run),
    stdin: written.stdin,
    env: { ...defaults.env, ...written.env },
    covers: written.covers,
    needs: written.needs === undefined ? undefined : fill(written.needs),
    local: written.local,
    again:
      again === undefined
        ? undefined
        : {
            run: fill(again.run ?? written.run),
            says: new RegExp(again.says),
            never: again.never === undefined ? undefined : new RegExp(again.never),
          },
    normalise: [...defaults.normalise, ...written.normalise],
    differs: [...defaults.differs, ...written.differs],
    order: written.order ?? defaults.order ?? 'kept',
  };
}

function parseCases(name: string, text: string): CaseSet {
  const file = caseFile.parse(parse(text));
  const cases = file.case.flatMap((written) =>
    (written.tools ?? file.tools).map((tool) => caseFor(tool, written, file)),
  );
  const ids = new Set<string>();
  for (const { id } of cases) {
    if (ids.has(id)) throw new Error(`two cases are called "${id}"`);
    ids.add(id);
  }
  return { name, remoteShare: file.remote_share, cases };
}

/** Reads every case file of a folder; a failure names the file and what is wrong in it. */
export function readCases(folder: string): Result<CaseSet[]> {
  const sets: CaseSet[] = [];
  try {
    for (const name of readdirSync(folder).sort()) {
      if (!name.endsWith('.toml') || name === 'invocations.toml') continue;
      try {
        sets.push(parseCases(name.slice(0, -5), readFileSync(join(folder, name), 'utf8')));
      } catch (thrown) {
        return fail(`${join(folder, name)}: ${messageOf(thrown)}`);
      }
    }
  } catch (thrown) {
    return fail(`the cases are not there: ${messageOf(thrown)}`);
  }
  return ok(sets);
}
