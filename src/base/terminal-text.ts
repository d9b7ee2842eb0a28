/**
 * What a tool wrote to a terminal, as lines of coloured text: control characters and the sequences of ECMA-48 that
 * builds use (colours, carriage return, erasing a line, moving up) are obeyed, all others are taken out.
 */

/** 0 to 255 of the usual palette, or `#rrggbb`. */
export type Color = number | string;
export type Style = {
  readonly fg?: Color;
  readonly bg?: Color;
  readonly bold?: true;
  readonly dim?: true;
  readonly italic?: true;
  readonly underline?: true;
  readonly inverse?: true;
  readonly strike?: true;
};
/** Text in one style. */
export type Run = { readonly text: string; readonly style: Style };

type Cell = { readonly char: string; readonly style: Style };
type Flag = Exclude<keyof Style, 'fg' | 'bg'>;

const plain: Style = {};
const TAB = 8;
/** Columns after which a line is cut: nobody reads on, and memory is bounded. */
const WIDEST = 4000;

/** SGR parameters that switch something on, or off. */
const on: ReadonlyMap<number, Flag> = new Map([
  [1, 'bold'],
  [2, 'dim'],
  [3, 'italic'],
  [4, 'underline'],
  [7, 'inverse'],
  [9, 'strike'],
]);
const off: ReadonlyMap<number, readonly Flag[]> = new Map([
  [22, ['bold', 'dim']],
  [23, ['italic']],
  [24, ['underline']],
  [27, ['inverse']],
  [29, ['strike']],
]);

function without(style: Style, names: readonly (keyof Style)[]): Style {
  return Object.fromEntries(
    Object.entries(style).filter(([name]) => !names.some((each) => each === name)),
  );
}

/** The colour of `38;5;N` or `38;2;R;G;B`, and how many parameters that were. */
function extended(codes: readonly number[]): { color: Color | undefined; used: number } {
  const [kind, ...rest] = codes;
  if (kind === 5) return { color: rest[0], used: 2 };
  if (kind !== 2) return { color: undefined, used: 1 };
  const hex = [0, 1, 2].map((at) =>
    Math.min(255, rest[at] ?? 0)
      .toString(16)
      .padStart(2, '0'),
  );
  return { color: `#${hex.join('')}`, used: 4 };
}

/** Select Graphic Rendition (ECMA-48 8.3.117). */
export function styled(before: Style, codes: readonly number[]): Style {
  let style = before;
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] ?? 0;
    const flag = on.get(code);
    if (code === 0) style = plain;
    else if (flag !== undefined) style = { ...style, [flag]: true };
    else if (off.has(code)) style = without(style, off.get(code) ?? []);
    else if (code >= 30 && code <= 37) style = { ...style, fg: code - 30 };
    else if (code >= 90 && code <= 97) style = { ...style, fg: code - 82 };
    else if (code >= 40 && code <= 47) style = { ...style, bg: code - 40 };
    else if (code >= 100 && code <= 107) style = { ...style, bg: code - 92 };
    else if (code === 39) style = without(style, ['fg']);
    else if (code === 49) style = without(style, ['bg']);
    else if (code === 38 || code === 48) {
      const { color, used } = extended(codes.slice(at + 1));
      at += used;
      const ground = code === 38 ? 'fg' : 'bg';
      if (color !== undefined) style = { ...style, [ground]: color };
    }
  }
  return style;
}

// A control sequence, an operating system command (a title, a link), another escape, a control character, or text.
const token =
  /\u001b\[([0-?]*)[ -/]*([@-~])|\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[ -/]*[0-Z\\^-~]|[\u0000-\u001f\u007f-\u009f]|[^\u0000-\u001f\u007f-\u009f]+/gu;
const control = /^[\u0000-\u001f\u007f-\u009f]/;
/** A sequence whose end has not come yet. */
const unfinished =
  /\u001b(?:\[[0-?]{0,256}[ -/]{0,8}|[\]PX^_][^\u0007\u001b]{0,4096}\u001b?|[ -/]*)?$/u;

export class TerminalText {
  readonly #most: number;
  readonly #lines: Cell[][] = [[]];
  /** Lines that are gone at the top. */
  #dropped = 0;
  #row = 0;
  #column = 0;
  #style: Style = plain;
  #rest = '';
  /** Raised with each change. */
  version = 0;

  /** Keeps the last `most` lines. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Lines at the top that are no longer kept. */
  get dropped(): number {
    return this.#dropped;
  }

  write(text: string): void {
    this.version++;
    const all = this.#rest + text;
    const open = unfinished.exec(all);
    const whole = open === null ? all : all.slice(0, open.index);
    this.#rest = open === null ? '' : open[0];
    for (const [part, parameters, final] of whole.matchAll(token)) {
      if (final !== undefined) this.#control(final, parameters ?? '');
      else if (!part.startsWith('\u001b')) this.#take(part);
    }
  }

  /** Something is missing here. */
  skip(): void {
    this.#rest = '';
    this.#style = plain;
    if (this.#column > 0) this.#newLine();
    this.#put('…', { dim: true });
    this.#newLine();
    this.version++;
  }

  /** The last `count` lines as runs; an empty one at the end, where the cursor waits, is left out. */
  last(count: number): Run[][] {
    const all = this.#lines.at(-1)?.length === 0 ? this.#lines.slice(0, -1) : this.#lines;
    return all.slice(-count).map(runsOf);
  }

  #take(part: string): void {
    switch (part) {
      case '\n':
        this.#newLine();
        return;
      case '\r':
        this.#column = 0;
        return;
      case '\b':
        this.#column = Math.max(0, this.#column - 1);
        return;
      case '\t':
        this.#column += TAB - (this.#column % TAB);
        return;
      default:
        if (!control.test(part)) this.#put(part, this.#style);
    }
  }

  #put(text: string, style: Style): void {
    const line = this.#line();
    for (const char of text) {
      if (this.#column >= WIDEST) return;
      while (line.length < this.#column) line.push({ char: ' ', style: plain });
      line[this.#column++] = { char, style };
    }
  }

  #line(): Cell[] {
    while (this.#lines.length <= this.#row) this.#lines.push([]);
    return this.#lines[this.#row] ?? [];
  }

  #newLine(): void {
    this.#row++;
    this.#column = 0;
    this.#line();
    if (this.#lines.length <= this.#most) return;
    this.#lines.shift();
    this.#row--;
    this.#dropped++;
  }

  #control(final: string, parameters: string): void {
    // Private ones switch modes of a terminal.
    if (/[<=>?]/.test(parameters)) return;
    const codes = parameters.split(/[;:]/).map(Number);
    const first = Math.max(1, codes[0] ?? 1);
    switch (final) {
      case 'm':
        this.#style = styled(this.#style, codes);
        return;
      case 'K':
        this.#erase(codes[0] ?? 0);
        return;
      case 'A':
        this.#row = Math.max(0, this.#row - first);
        return;
      case 'B':
        this.#row = Math.min(this.#lines.length - 1, this.#row + first);
        return;
      case 'C':
        this.#column = Math.min(WIDEST, this.#column + first);
        return;
      case 'D':
        this.#column = Math.max(0, this.#column - first);
        return;
      case 'G':
        this.#column = Math.min(WIDEST, first - 1);
        return;
      default:
    }
  }

  /** Erase in line: 0 from the cursor on, 1 up to it, 2 all of it. */
  #erase(what: number): void {
    const line = this.#line();
    if (what !== 1) line.length = what === 2 ? 0 : Math.min(line.length, this.#column);
    else line.fill({ char: ' ', style: plain }, 0, this.#column + 1);
  }
}

function runsOf(line: readonly Cell[]): Run[] {
  const runs: { text: string; style: Style }[] = [];
  for (const { char, style } of line) {
    const last = runs.at(-1);
    if (last?.style === style) last.text += char;
    else runs.push({ text: char, style });
  }
  return runs;
}
