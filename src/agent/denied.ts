/** Finds in what a failed tool said the path it was not allowed to write: this machine's folders are read-only to it. */

import { posix } from 'node:path';

/** strerror(3) of EROFS, and of EACCES, which a folder of another user gives. */
const refusal = /Read-only file system|Permission denied|os error 30\b|os error 13\b/;
const quoted = /['"`‘“](\/[^'"`’”\n]+)['"`’”]/g;
const plain = /(?:^|[\s=(])(\/[^\s:'"`(),]+)/g;

/** The same for what leads out by `..`: only then does a relative path lie outside of what is carried. */
const outward = /(?:^|[\s='"`‘“(:,])((?:[\w.+@%~-]+\/)*\.\.\/[^\s:'"`’”(),]+)/g;
/** Where what follows was said: by make, and by a compiler that names the file. */
const entering = /Entering directory ['`]([^'\n]+)'/g;
const speaking = /^([^\s:]+):\d+/;

/** How a job sees paths. */
export type View = {
  /** Where the tool was started. */
  readonly cwd: string;
  /** Without `..` and symlinks before it, as the job's kernel reads an absolute path. */
  readonly resolved: (path: string) => string;
  /** Whether a resolved path is no matter: another reason kept the tool from it. */
  readonly passes: (path: string) => boolean;
};

/** Absolute paths that the relative ones in a line may mean. */
function relativeIn(line: string, bases: readonly string[]): string[] {
  const file = speaking.exec(line)?.[1];
  const from = (base: string, path: string): string =>
    path.startsWith('/') ? path : `${base}/${path}`;
  return [...line.matchAll(outward)].flatMap(([, path = '']) =>
    bases.flatMap((base) => [
      from(base, path),
      ...(file === undefined ? [] : [`${from(base, posix.dirname(file))}/${path}`]),
    ]),
  );
}

/** The folders in which a tool that was started in `cwd` says that it works. */
function basesOf(text: string, cwd: string): string[] {
  return [...new Set([cwd, ...[...text.matchAll(entering)].map((match) => match[1] ?? cwd)])];
}

/** The path nearest before the complaint: a program that begins its line with its own name is not meant. */
function pathIn(line: string, bases: readonly string[]): string | undefined {
  const said = line.slice(0, line.search(refusal));
  return (
    [...said.matchAll(quoted)].at(-1)?.[1] ??
    [...said.matchAll(plain)].at(-1)?.[1] ??
    relativeIn(said, bases).at(-1)
  );
}

/** The path in the last line of `text` that complains of one, or ''. Paths that the tool may write pass. */
export function deniedPath(text: string, { cwd, resolved, passes }: View): string {
  const bases = basesOf(text, cwd);
  const lines = text.split('\n').filter((line) => refusal.test(line));
  for (const line of lines.reverse()) {
    const said = pathIn(line, bases);
    const path = said === undefined ? undefined : resolved(said);
    if (path !== undefined && !passes(path)) return path;
  }
  return '';
}

/** strerror(3) of ENOENT, as tools and cargo's kin write it, and make. */
const absence =
  /No such file or directory|os error 2\b|No rule to make target|[Cc]annot (find|open)|not found/;
const MOST_MISSING = 16;

/** The paths, absolute, that the last lines of `text` say are not there. Those that are there pass. */
export function missingPaths(text: string, { cwd, resolved, passes }: View): string[] {
  const bases = basesOf(text, cwd);
  const paths = text
    .split('\n')
    .filter((line) => absence.test(line))
    .flatMap((line) => [
      ...[...line.matchAll(quoted), ...line.matchAll(plain)].flatMap((match) => match[1] ?? []),
      ...relativeIn(line, bases),
    ])
    .map(resolved)
    .filter((path) => !passes(path));
  return [...new Set(paths)].slice(-MOST_MISSING);
}
