/** What a job wrote, as a dark pane that follows its end while the reader stands there. */
import { TerminalText, type Color, type Run } from '../base/terminal-text.ts';
import { make } from './dom.ts';

/** Lines that a pane shows. */
const LINES = 1000;
/** px from the end within which a reader stands there. */
const NEAR = 24;

/** RGB of 16 to 255 of the usual palette: a cube of 6 x 6 x 6, then 24 greys. */
function paletteColor(color: number): string {
  if (color >= 232) {
    const grey = 8 + (color - 232) * 10;
    return `rgb(${grey}, ${grey}, ${grey})`;
  }
  const level = (n: number): number => (n === 0 ? 0 : 55 + n * 40);
  const at = color - 16;
  return `rgb(${level(Math.floor(at / 36))}, ${level(Math.floor(at / 6) % 6)}, ${level(at % 6)})`;
}

function cssColor(color: Color): string | undefined {
  if (typeof color === 'string') return color;
  return color >= 16 ? paletteColor(color) : undefined;
}

function spanOf({ text, style }: Run): Node {
  const { fg, bg } = style;
  const flags = ['bold', 'dim', 'italic', 'underline', 'inverse', 'strike'] as const;
  const classes = [
    ...flags.filter((flag) => style[flag] === true),
    ...(typeof fg === 'number' && fg < 16 ? [`c${fg}`] : []),
  ];
  if (classes.length === 0 && fg === undefined && bg === undefined)
    return document.createTextNode(text);
  const span = make('span', { class: classes.length === 0 ? undefined : classes.join(' ') }, text);
  const color = fg === undefined ? undefined : cssColor(fg);
  if (color !== undefined) span.style.color = color;
  const ground =
    bg === undefined ? undefined : (cssColor(bg) ?? paletteColor(ground16[bg as number] ?? 16));
  if (ground !== undefined) span.style.backgroundColor = ground;
  return span;
}

/** Grounds of the first 16, dark enough for the text upon them, as entries of the cube. */
const ground16 = [16, 52, 22, 58, 17, 53, 23, 240, 238, 88, 28, 94, 18, 90, 30, 244];

/** Of one job, however many panes show it. */
export class Output {
  readonly text = new TerminalText(LINES);
  readonly #decoder = new TextDecoder();

  write(base64: string, skipped: boolean): void {
    if (skipped) this.text.skip();
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    this.text.write(this.#decoder.decode(bytes, { stream: true }));
  }
}

export class Pane {
  readonly element: HTMLElement;
  readonly #lines: { readonly shown: string; readonly node: HTMLElement }[] = [];
  #from = 0;
  #version = -1;

  constructor(label: string) {
    this.element = make('pre', { class: 'output', tabindex: 0, role: 'log', 'aria-label': label });
    // What changes many times a second is not for a screen reader to read by itself.
    this.element.setAttribute('aria-live', 'off');
  }

  update({ text }: Output): void {
    if (text.version === this.#version) return;
    this.#version = text.version;
    const { element } = this;
    const follows = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR;
    const gone = text.dropped - this.#from;
    for (const { node } of this.#lines.splice(0, gone)) node.remove();
    this.#from = text.dropped;
    const lines = text.last(LINES + 1);
    for (const { node } of this.#lines.splice(lines.length)) node.remove();
    for (const [at, runs] of lines.entries()) this.#show(at, runs);
    if (follows) element.scrollTop = element.scrollHeight;
  }

  #show(at: number, runs: readonly Run[]): void {
    const shown = JSON.stringify(runs);
    const there = this.#lines[at];
    if (there?.shown === shown) return;
    const node = there?.node ?? make('div');
    node.replaceChildren(...runs.map(spanOf), runs.length === 0 ? '\n' : '');
    if (there === undefined) this.element.append(node);
    this.#lines[at] = { shown, node };
  }
}
