/**
 * The marked lines that put the shims first on PATH in a profile; they come out again to the byte.
 * ```
 * # >>> rch shims >>> made=2 joined        (made: file and 2 folders above it are ours; joined: the line before had no end)
 * …
 * # <<< rch shims <<<
 * ```
 */
export const shells = ['bash', 'zsh', 'fish', 'sh'] as const;
export type Shell = (typeof shells)[number];

const opening = '# >>> rch shims >>>';
const closing = '# <<< rch shims <<<';
const about =
  '# rch puts its shims first on PATH; `rch shim uninstall` takes these lines out again.';

/** A word that a POSIX shell and fish read as it is. */
function quoted(text: string, shell: Shell): string {
  const inside =
    shell === 'fish'
      ? text.replace(/\\/g, '\\\\').replace(/'/g, "\\'")
      : text.replace(/'/g, "'\\''");
  return `'${inside}'`;
}

function linesWith(shell: Shell, word: string): string {
  if (shell === 'fish')
    return [
      `set -l rch_shims ${word}`,
      'if test "$PATH[1]" != "$rch_shims"',
      '    set -gx PATH "$rch_shims" $PATH',
      'end',
    ].join('\n');
  return [
    'case ":$PATH:" in',
    `  :${word}:*) ;;`,
    `  *) PATH=${word}"\${PATH:+:$PATH}"; export PATH ;;`,
    'esac',
  ].join('\n');
}

/** Lines for `eval` or a profile; doing them again changes nothing. */
export function pathLines(shell: Shell, folder: string): string {
  return linesWith(shell, quoted(folder, shell));
}

export type Marks = {
  /** How many folders above the file are ours; undefined: not even the file is. */
  readonly made: number | undefined;
  readonly joined: boolean;
};

export function blockFor(shell: Shell, folder: string, { made, joined }: Marks): string {
  const marks = [...(made === undefined ? [] : [`made=${made}`]), ...(joined ? ['joined'] : [])];
  return [[opening, ...marks].join(' '), about, pathLines(shell, folder), closing, ''].join('\n');
}

/** Blanks at the end of a line, and the line ends of other systems, come from editors. */
const bare = (line: string): string => line.replace(/[ \t\r]+$/, '');

function marksOf(line: string): Marks | undefined {
  const said = /^# >>> rch shims >>>(?: made=(\d+))?( joined)?$/.exec(bare(line));
  if (said === null) return undefined;
  return {
    made: said[1] === undefined ? undefined : Number(said[1]),
    joined: said[2] !== undefined,
  };
}

/** Whether these are the lines between our marks as we write them, for whatever folder. */
function isBody(lines: readonly string[]): boolean {
  const text = lines.map(bare).join('\n');
  const posix = /\n {2}:('[^]*?'):\*\) ;;\n/.exec(text)?.[1];
  if (posix !== undefined) return text === `${about}\n${linesWith('sh', posix)}`;
  const fish = /\nset -l rch_shims ('[^]*?')\n/.exec(text)?.[1];
  return fish !== undefined && text === `${about}\n${linesWith('fish', fish)}`;
}

const isMark = (line: string): boolean => line.startsWith(opening) || line.startsWith(closing);

export type Found =
  | { readonly kind: 'none' }
  /** `rest`: the text without them. */
  | { readonly kind: 'blocks'; readonly rest: string; readonly made: number | undefined }
  /** Somebody changed lines of ours, so that nobody knows what is whose; `line` counts from 1. */
  | { readonly kind: 'changed'; readonly line: number };

/** The text without what lies from line `from` to `till`. */
function without(lines: readonly string[], from: number, till: number, joined: boolean): string {
  const before = lines.slice(0, from).join('\n');
  const after = lines.slice(till + 1).join('\n');
  // What was added below since then needs the line above it ended.
  if (!joined || after !== '') return (from === 0 ? '' : `${before}\n`) + after;
  return lines[from]?.endsWith('\r') === true ? before.replace(/\r$/, '') : before;
}

/** Looks for our blocks, the last one first: only what is exactly as we write it is ours. */
export function findBlocks(text: string): Found {
  let rest = text;
  let found: Found = { kind: 'none' };
  for (;;) {
    const lines = rest.split('\n');
    const till = lines.findLastIndex(isMark);
    if (till < 0) return found;
    const from = lines.slice(0, till).findLastIndex(isMark);
    const marks = marksOf(lines[from] ?? '');
    if (marks === undefined) return { kind: 'changed', line: till + 1 };
    if (bare(lines[till] ?? '') !== closing) return { kind: 'changed', line: till + 1 };
    if (!isBody(lines.slice(from + 1, till))) return { kind: 'changed', line: from + 1 };
    rest = without(lines, from, till, marks.joined);
    found = { kind: 'blocks', rest, made: marks.made };
  }
}
