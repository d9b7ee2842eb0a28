/** Finds in what a failed tool said the path it was not allowed to write: this machine's folders are read-only to it. */

/** strerror(3) of EROFS, and of EACCES, which a folder of another user gives. */
const refusal = /Read-only file system|Permission denied|os error 30\b|os error 13\b/;
const quoted = /['"`‘“](\/[^'"`’”\n]+)['"`’”]/g;
const plain = /(?:^|[\s=(])(\/[^\s:'"`(),]+)/g;

/** The path nearest before the complaint: a program that begins its line with its own name is not meant. */
function pathIn(line: string): string | undefined {
  const said = line.slice(0, line.search(refusal));
  return [...said.matchAll(quoted)].at(-1)?.[1] ?? [...said.matchAll(plain)].at(-1)?.[1];
}

/**
 * The path in the last line of `text` that complains of one, or ''. `inRoot`: paths the tool may write, which
 * another reason kept it from.
 */
export function deniedPath(text: string, inRoot: (path: string) => boolean): string {
  const lines = text.split('\n').filter((line) => refusal.test(line));
  for (const line of lines.reverse()) {
    const path = pathIn(line);
    if (path !== undefined && !inRoot(path)) return path;
  }
  return '';
}

/** strerror(3) of ENOENT, as tools and cargo's kin write it, and make. */
const absence =
  /No such file or directory|os error 2\b|No rule to make target|[Cc]annot (find|open)|not found/;
const MOST_MISSING = 8;

/** The absolute paths that the last lines of `text` say are not there; those that are there, `isThere`, are not meant. */
export function missingPaths(text: string, isThere: (path: string) => boolean): string[] {
  const paths = text
    .split('\n')
    .filter((line) => absence.test(line))
    .flatMap((line) => [...line.matchAll(quoted), ...line.matchAll(plain)])
    .flatMap((match) => match[1] ?? [])
    .filter((path) => !isThere(path));
  return [...new Set(paths)].slice(-MOST_MISSING);
}
