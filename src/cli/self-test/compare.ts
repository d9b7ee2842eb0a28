/** Compares what a command did here with what it did on a worker; every difference in words. No I/O. */
import type { Entry, Snapshot } from './snapshot.ts';

/** Lines of either side that a difference of texts shows. */
const SHOWN = 12;

/** A line with its control bytes made visible. */
function visible(line: string): string {
  const text = line.length > 400 ? `${line.slice(0, 400)}…` : line;

  return text.replace(/[\u0000-\u001f\u007f-\u00ff]/g, (char) =>
    char === '\t' ? '\t' : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

/** The lines that two texts do not share at their beginning and end; undefined when they are equal. */
export function textDifference(name: string, here: string, there: string): string | undefined {
  if (here === there) return undefined;
  const [a, b] = [here.split('\n'), there.split('\n')];
  let begin = 0;
  while (begin < Math.min(a.length, b.length) && a[begin] === b[begin]) begin += 1;
  let end = 0;
  while (
    end < Math.min(a.length, b.length) - begin &&
    a[a.length - 1 - end] === b[b.length - 1 - end]
  )
    end += 1;
  const side = (mark: string, lines: readonly string[]): string[] => {
    const middle = lines.slice(begin, lines.length - end);
    const more = middle.length > SHOWN ? [`  ${mark} … ${middle.length - SHOWN} lines more`] : [];
    return [...middle.slice(0, SHOWN).map((line) => `  ${mark} ${visible(line)}`), ...more];
  };
  return [
    `${name} differs from line ${begin + 1} on:`,
    ...side('here  |', a),
    ...side('there |', b),
  ].join('\n');
}

/** A glob in which `*` stands for anything, folders included. */
function globOf(glob: string): RegExp {
  const parts = glob.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's');
}

function entryDifference(path: string, here: Entry, there: Entry, bytes: boolean): string[] {
  if (here.kind !== there.kind) return [`${path} is a ${there.kind} there, a ${here.kind} here`];
  if (here.kind === 'link' && there.kind === 'link')
    return here.target === there.target
      ? []
      : [`${path} points to ${there.target} there, to ${here.target} here`];
  const words: string[] = [];
  if ('mode' in here && 'mode' in there && here.mode !== there.mode)
    words.push(`${path} has mode ${there.mode.toString(8)} there, ${here.mode.toString(8)} here`);
  if (here.kind === 'file' && there.kind === 'file' && bytes && here.sha !== there.sha)
    words.push(`${path} has other bytes (${there.size} there, ${here.size} here)`);
  return words;
}

/** Content, mode, links, presence. `differs`: globs of files whose bytes are not compared. */
export function fileDifferences(
  here: Snapshot,
  there: Snapshot,
  differs: readonly string[],
): string[] {
  const globs = differs.map(globOf);
  const words = [...here].flatMap(([path, entry]) => {
    const other = there.get(path);
    const bytes = !globs.some((glob) => glob.test(path));
    return other === undefined
      ? [`${path} is missing after the run there`]
      : entryDifference(path, entry, other, bytes);
  });
  for (const path of there.keys())
    if (!here.has(path)) words.push(`${path} is there after the run there, and not here`);
  return words;
}

function times(tree: Snapshot): Map<string, bigint> {
  return new Map([...tree].flatMap(([path, e]) => (e.kind === 'file' ? [[path, e.mtime]] : [])));
}

/**
 * Times: what the command left alone keeps its time to the nanosecond, and what was written later here is not older
 * there. `laid` is the tree before the run, equal for both.
 */
export function timeDifferences(
  laid: Snapshot,
  [hereTree, thereTree]: readonly [Snapshot, Snapshot],
  order: 'kept' | 'any',
): string[] {
  const [before, here, there] = [times(laid), times(hereTree), times(thereTree)];
  const words: string[] = [];
  const written: string[] = [];
  for (const [path, mtime] of here) {
    const other = there.get(path);
    const was = before.get(path);
    if (other === undefined) continue;
    if (mtime !== was && other !== was) written.push(path);
    else if (mtime !== other)
      words.push(
        `${path} was ${mtime === was ? 'left alone here and touched' : 'touched here and left alone'} there`,
      );
  }
  for (const path of written)
    for (const [source, was] of before)
      if (
        here.get(source) === was &&
        (there.get(path) ?? 0n) < was &&
        (here.get(path) ?? 0n) >= was
      )
        words.push(`${path}, written by the command, is older there than ${source}`);
  if (order === 'kept') {
    written.sort((a, b) => Number((here.get(a) ?? 0n) - (here.get(b) ?? 0n)));
    for (const [at, later] of written.entries()) {
      const earlier = written[at - 1];
      if (earlier === undefined || here.get(earlier) === here.get(later)) continue;
      if ((there.get(earlier) ?? 0n) > (there.get(later) ?? 0n))
        words.push(`${later} is newer than ${earlier} here, and older there`);
    }
  }
  return words;
}
