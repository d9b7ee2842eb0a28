/** Elements made and kept up to date; text is only ever set as text. */

type Child = Node | string;
type Attributes = Readonly<Record<string, string | number | undefined>>;

const SVG = 'http://www.w3.org/2000/svg';

function setAll(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
}

/** Sets an attribute, or takes it away; leaves it where nothing changed. */
export function set(element: Element, name: string, value: string | number | undefined): void {
  if (value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  setAll(element, attributes);
  element.append(...children);
  return element;
}

export function draw<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  setAll(element, attributes);
  element.append(...children);
  return element;
}

/** Sets text, where it is another one: what is selected, and what a screen reader reads, stays. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function button(text: string, action: () => void, kind = ''): HTMLButtonElement {
  const element = make('button', { type: 'button', class: kind === '' ? undefined : kind }, text);
  element.addEventListener('click', action);
  return element;
}

/** The element of the page with this id. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no ${id}`);
  return element;
}

/** Shows or hides. */
export function show(element: HTMLElement, shown: boolean): void {
  if (element.hidden === shown) element.hidden = !shown;
}

/** What stands for one thing on the page. */
export type Part<T> = { readonly element: HTMLElement; readonly update: (value: T) => void };

/** A list whose elements stay the same while their things do, so that focus and selection stay too. */
export class Keyed<T> {
  readonly #parent: HTMLElement;
  readonly #keyOf: (value: T) => string;
  readonly #made: (value: T) => Part<T>;
  readonly #parts = new Map<string, Part<T>>();

  constructor(parent: HTMLElement, keyOf: (value: T) => string, made: (value: T) => Part<T>) {
    this.#parent = parent;
    this.#keyOf = keyOf;
    this.#made = made;
  }

  update(values: readonly T[]): void {
    const keys = new Set(values.map(this.#keyOf));
    for (const [key, part] of this.#parts) {
      if (keys.has(key)) continue;
      part.element.remove();
      this.#parts.delete(key);
    }
    for (const [at, value] of values.entries()) {
      const key = this.#keyOf(value);
      const part = this.#parts.get(key) ?? this.#made(value);
      this.#parts.set(key, part);
      part.update(value);
      const there = this.#parent.children[at];
      if (there !== part.element) this.#parent.insertBefore(part.element, there ?? null);
    }
  }
}
