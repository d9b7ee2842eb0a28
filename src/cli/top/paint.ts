/** Text of a given width in columns, with tones that follow the user's wish for colours. */
import type { Run, Style } from '../../base/terminal-text.ts';
import type { Colors } from '../report.ts';

export type Tone = 'plain' | 'good' | 'warn' | 'bad' | 'dim' | 'bold' | 'accent';
export type Span = { readonly text: string; readonly tone?: Tone; readonly style?: Style };
export type Line = readonly Span[];

/** `unicode`: the terminal shows more than ASCII. */
export type Paper = {
  readonly colors: Colors;
  readonly unicode: boolean;
  readonly rows: number;
  readonly columns: number;
};

// Marks that stand on the character before them, and what most terminals draw two columns wide (Unicode TR11, emoji).
const nothing = /\p{Mark}|\p{Default_Ignorable_Code_Point}/u;
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

function columnsOf(char: string): number {
  if (char < '\u0300') return 1;
  if (nothing.test(char)) return 0;
  return wide.test(char) ? 2 : 1;
}

export function widthOf(text: string): number {
  let width = 0;
  for (const char of text) width += columnsOf(char);
  return width;
}

/** What of a text fits into so many columns; an ellipsis where it was cut. */
export function fitted(text: string, columns: number, ellipsis: string): string {
  if (widthOf(text) <= columns) return text;
  let kept = '';
  let width = widthOf(ellipsis);
  if (columns < width) return '';
  for (const char of text) {
    width += columnsOf(char);
    if (width > columns) break;
    kept += char;
  }
  return kept + ellipsis;
}

/** Fitted, and filled up to that width. */
export function cell(text: string, columns: number, paper: Paper): string {
  const kept = fitted(text, columns, paper.unicode ? '…' : '~');
  return kept + ' '.repeat(Math.max(0, columns - widthOf(kept)));
}

function toned(text: string, tone: Tone, colors: Colors): string {
  switch (tone) {
    case 'plain':
      return text;
    case 'good':
      return colors.green(text);
    case 'warn':
      return colors.yellow(text);
    case 'bad':
      return colors.red(text);
    case 'dim':
      return colors.dim(text);
    case 'bold':
      return colors.bold(text);
    case 'accent':
      return colors.cyan(text);
  }
}

const attributes = [
  ['bold', 1],
  ['dim', 2],
  ['italic', 3],
  ['underline', 4],
  ['inverse', 7],
  ['strike', 9],
] as const;

function colorCodes(color: Style['fg'], ground: 38 | 48): number[] {
  if (color === undefined) return [];
  if (typeof color === 'number') return [ground, 5, color];
  const parts = /^#(..)(..)(..)$/.exec(color)?.slice(1) ?? [];
  return [ground, 2, ...parts.map((part) => Number.parseInt(part, 16))];
}

/** As the tool wrote it (ECMA-48 SGR); plain where colours are not wanted. */
function restyled(text: string, style: Style, colors: Colors): string {
  if (!colors.isColorSupported) return text;
  const codes = [
    ...attributes.flatMap(([name, code]) => (style[name] === true ? [code] : [])),
    ...colorCodes(style.fg, 38),
    ...colorCodes(style.bg, 48),
  ];
  return codes.length === 0 ? text : `\u001b[${codes.join(';')}m${text}\u001b[0m`;
}

/** A line of at most the paper's width; a selected one is inverse, as wide as the paper. */
export function painted(line: Line, paper: Paper, selected = false): string {
  const { colors, columns } = paper;
  if (selected) {
    const text = cell(line.map((span) => span.text).join(''), columns, paper);
    return colors.inverse(text);
  }
  let left = columns;
  let shown = '';
  for (const { text, tone = 'plain', style } of line) {
    const kept = fitted(text, left, paper.unicode ? '…' : '~');
    left -= widthOf(kept);
    shown += style === undefined ? toned(kept, tone, colors) : restyled(kept, style, colors);
    if (kept !== text) break;
  }
  return shown;
}

export function ofRuns(runs: readonly Run[]): Line {
  return runs.map(({ text, style }) => ({ text, style }));
}

/** `████░░░░`: `part` of `width` columns filled. */
export function bar(part: number, width: number, { unicode }: Paper): Line {
  const share = Number.isFinite(part) ? Math.max(0, Math.min(1, part)) : 0;
  // Whoever has anything shows at least one, and only what is full shows all.
  const full = share === 1 ? width : Math.min(width - 1, Math.ceil(share * width));
  const tone = share >= 1 ? 'bad' : share >= 0.75 ? 'warn' : 'good';
  return [
    { text: (unicode ? '█' : '#').repeat(full), tone },
    { text: (unicode ? '░' : '.').repeat(width - full), tone: 'dim' },
  ];
}

/** A text broken into lines of so many columns. */
export function wrapped(text: string, columns: number): string[] {
  return text.split('\n').flatMap((line) => {
    const rows: string[] = [];
    let row = '';
    for (const word of line.split(/(?<= )/)) {
      if (row !== '' && widthOf(row + word.trimEnd()) > columns) {
        rows.push(row.trimEnd());
        row = '';
      }
      row += word;
    }
    return [...rows, row.trimEnd()];
  });
}
