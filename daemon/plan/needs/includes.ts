/** Follows includes from the sources that a build speaks of to the headers that the system must have. */
import { posix } from 'node:path';
import { mayHold, type Include, type SourceFacts } from './c-source.ts';

export type IncludeQuestion = {
  readonly files: {
    readonly facts: (path: string) => SourceFacts;
    /** Called with the number of files so far, for a rest between them. */
    readonly breathe: (count: number) => Promise<void>;
  };
  /** The project's files by their last part. */
  readonly index: ReadonlyMap<string, readonly string[]>;
  readonly starts: readonly string[];
  /** Names defined on command lines. */
  readonly defined: ReadonlySet<string>;
  /** Folders in which a compiler may look for what stands between angle brackets. */
  readonly folders: readonly string[];
};

export type IncludeAnswer = {
  /** Headers that no file of the project provides. */
  readonly headers: ReadonlySet<string>;
  readonly plusPlus: boolean;
  /** Paths that absolute names, and names with `..` from where they stand, mean. */
  readonly outward: ReadonlySet<string>;
};

/** The project's files that `#include "name"` or `<name>` may mean: those whose path ends in it, or is it. */
function candidates(
  index: ReadonlyMap<string, readonly string[]>,
  name: string,
): readonly string[] {
  const plain = name.replace(/^(\.\.?\/)+/, '');
  const found = index.get(posix.basename(plain)) ?? [];
  if (plain.startsWith('/')) return found.filter((path) => path === posix.normalize(plain));
  return plain.includes('/') ? found.filter((path) => path.endsWith(`/${plain}`)) : found;
}

type Walk = IncludeQuestion & {
  readonly known: Set<string>;
  readonly names: Set<string>;
  readonly queue: string[];
  readonly headers: Set<string>;
  /** Names already followed. */
  readonly followed: Set<string>;
};

function follow(walk: Walk, include: Include): void {
  if (walk.followed.has(include.name)) return;
  walk.followed.add(include.name);
  const own = candidates(walk.index, include.name);
  if (own.length === 0) walk.headers.add(include.name);
  for (const path of own)
    if (!walk.known.has(path)) {
      walk.known.add(path);
      walk.queue.push(path);
    }
}

/** Conditional includes wait until a name that they need is defined somewhere in what was reached. */
export async function systemHeaders(question: IncludeQuestion): Promise<IncludeAnswer> {
  const walk: Walk = {
    ...question,
    known: new Set(question.starts),
    names: new Set(question.defined),
    queue: [...question.starts],
    headers: new Set(),
    followed: new Set(),
  };
  const outward = new Set<string>();
  let waiting: Include[] = [];
  let count = 0;
  while (walk.queue.length > 0) {
    for (let path = walk.queue.pop(); path !== undefined; path = walk.queue.pop()) {
      const facts = walk.files.facts(path);
      for (const name of facts.defines) walk.names.add(name);
      const own = posix.dirname(path);
      for (const name of facts.outward) outward.add(posix.resolve(own, name));
      for (const name of facts.angled)
        for (const folder of [own, ...question.folders]) outward.add(posix.resolve(folder, name));
      for (const include of facts.includes)
        if (include.guards.length > 0) waiting.push(include);
        else follow(walk, include);
      for (const { name } of facts.includes)
        if (name.startsWith('/')) outward.add(posix.normalize(name));
      count += 1;
      await walk.files.breathe(count);
    }
    const still: Include[] = [];
    for (const include of waiting)
      if (mayHold(include, walk.names)) follow(walk, include);
      else still.push(include);
    waiting = still;
  }
  const plusPlus = [...walk.known].some((path) =>
    /\.(cc|cp|cxx|cpp|c\+\+|C|hpp|hxx|hh|mm)$/.test(path),
  );
  return { headers: walk.headers, plusPlus, outward };
}
