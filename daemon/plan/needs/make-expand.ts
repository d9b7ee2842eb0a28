/** What the references in a makefile's text come to. Every value that a variable is ever given counts. Pure. */
import {
  CALL,
  CALLED,
  onlyCalls,
  patsubst,
  plainFunctions,
  splitWords,
  textFunctions,
} from './make-functions.ts';
import { isSettled, setValues, usualValue, type Scope, type Variables } from './make-variables.ts';

/** Steps and bytes of one expansion; what is beyond stays as it is written. */
const MOST_STEPS = 20_000;
const MOST_BYTES = 1 << 18;
/** Words that `foreach` takes one by one; of more it takes all at once. */
const MOST_ROUNDS = 500;

type Bound = ReadonlyMap<string, string>;

type Expansion = {
  readonly variables: Variables;
  readonly scope: Scope;
  /** Values that are the same wherever they are asked for. */
  readonly known: Map<string, string>;
  readonly evals: string[];
  /** Variables that are being expanded: what a value says of its own is among the others. */
  readonly within: string[];
  /** How often one was cut short for that. */
  cuts: number;
  left: number;
};

/** Where the bracket closes that opens at `from`; -1 where it does not. Brackets of the other kind do not count. */
function closing(text: string, from: number): number {
  const open = text.charAt(from);
  const close = open === '(' ? ')' : '}';
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (char === open) depth += 1;
    else if (char === close) {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return -1;
}

/** The arguments of a function: commas within brackets separate nothing. */
function argumentsOf(text: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (char === '(' || char === '{') depth += 1;
    else if (char === ')' || char === '}') depth -= 1;
    else if (char === ',' && depth <= 0) {
      found.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...found, text.slice(start)];
}

function valueOf(name: string, to: Expansion, bound: Bound): string {
  const given = bound.get(name);
  if (given !== undefined) return given;
  if (to.within.includes(name)) {
    to.cuts += 1;
    return '';
  }
  const known = bound.size === 0 ? to.known.get(name) : undefined;
  if (known !== undefined) return known;
  const { cuts } = to;
  const values = setValues(name, to.variables, to.scope);
  const usual = isSettled(name, to.variables, to.scope) ? undefined : usualValue(name);
  to.within.push(name);
  const texts = [usual ?? '', ...values]
    .filter((each) => each !== '')
    .map((each) => expandIn(each, to, bound));
  to.within.pop();
  const text = texts.join(texts.some((each) => each.includes('\n')) ? '\n' : ' ');
  if (bound.size === 0 && to.cuts === cuts && to.left > 0) to.known.set(name, text);
  return text;
}

function forEach(args: readonly string[], to: Expansion, bound: Bound): string {
  const [name = '', list = '', ...rest] = args;
  const text = rest.join(',');
  const all = expandIn(list, to, bound);
  const words = splitWords(all);
  const rounds = words.length > MOST_ROUNDS || all.includes(CALL) ? [all] : words;
  const variable = expandIn(name, to, bound).trim();
  return rounds.map((word) => expandIn(text, to, new Map([...bound, [variable, word]]))).join(' ');
}

function called(args: readonly string[], to: Expansion, bound: Bound): string {
  const given = args.map((each) => expandIn(each, to, bound));
  const name = (given[0] ?? '').trim();
  const own = textFunctions.get(name);
  if (own !== undefined) return own(given.slice(1));
  const numbered = given.map((each, at): [string, string] => [`${at}`, each]);
  // Several values may stand where the name is: each is one.
  return splitWords(name)
    .map((each) => valueOf(each, to, new Map([...bound, ...numbered])))
    .join(' ');
}

function ofFunction(
  name: string,
  text: string,
  { to, bound }: { readonly to: Expansion; readonly bound: Bound },
): string | undefined {
  if (name === 'eval') {
    const rules = expandIn(text, to, bound);
    to.evals.push(rules);
    return onlyCalls(rules);
  }
  if (name === 'foreach') return forEach(argumentsOf(text), to, bound);
  if (name === 'call') return called(argumentsOf(text), to, bound);
  if (name === 'value')
    return setValues(expandIn(text, to, bound).trim(), to.variables, to.scope).join(' ');
  const own = textFunctions.get(name);
  if (own === undefined && !plainFunctions.has(name)) return undefined;
  const args = argumentsOf(text).map((each) => expandIn(each, to, bound));
  return own === undefined ? args.join(' ') : own(args);
}

/** `NAME`, `NAME:.c=.o`, `function arguments`. */
function ofReference(inner: string, to: Expansion, bound: Bound): string {
  const call = /^\s*([a-z][a-z-]*)\s+(.*)$/s.exec(inner);
  if (call?.[1] !== undefined) {
    const value = ofFunction(call[1], call[2] ?? '', { to, bound });
    if (value !== undefined) return value;
  }
  const plain = inner.includes('$') ? expandIn(inner, to, bound) : inner;
  const [, name = plain, from, by = ''] = /^([^:]*):([^=]*)=(.*)$/s.exec(plain) ?? [];
  // A computed name may be several.
  const names = name === inner ? [name] : splitWords(name);
  const text = names.map((each) => valueOf(each, to, bound)).join(' ');
  if (from === undefined) return text;
  return from.includes('%') ? patsubst(from, by, text) : patsubst(`%${from}`, `%${by}`, text);
}

function expandIn(text: string, to: Expansion, bound: Bound): string {
  let done = '';
  let at = 0;
  for (let next = text.indexOf('$'); next >= 0; next = text.indexOf('$', at)) {
    to.left -= 1;
    if (to.left < 0 || done.length > MOST_BYTES) break;
    done += text.slice(at, next);
    const char = text.charAt(next + 1);
    const bracket = char === '(' || char === '{';
    const end = bracket ? closing(text, next + 1) : next + 1;
    if (end < 0) {
      at = next;
      break;
    }
    if (char === '$') done += '$';
    else if (bracket) done += ofReference(text.slice(next + 2, end), to, bound);
    else if (/\w|[@<^?*%+|]/.test(char)) done += valueOf(char, to, bound);
    at = end + 1;
  }
  return done + text.slice(at);
}

const knownValues = new WeakMap<Variables, Map<string, string>>();

function expansion(variables: Variables, scope: Scope): Expansion {
  const known = knownValues.get(variables) ?? new Map<string, string>();
  knownValues.set(variables, known);
  return { variables, scope, known, evals: [], within: [], cuts: 0, left: MOST_STEPS };
}

/** As `expand`, but `$(shell X)` stands between marks. */
export function expandMarked(text: string, variables: Variables, scope: Scope): string {
  return expandIn(text, expansion(variables, scope), new Map());
}

/** A marked text with `$(shell X)` as a command of its own. */
export function withoutMarks(text: string): string {
  return text.replaceAll(CALL, ' ;').replaceAll(CALLED, '; ');
}

/** Replaces references by all values a variable is ever given; `$(shell X)` becomes a command of its own, `$$` a `$`. */
export function expand(text: string, variables: Variables, scope: Scope): string {
  return withoutMarks(expandMarked(text, variables, scope));
}

/** What `eval` is given in a text. */
export function evaluated(text: string, variables: Variables, scope: Scope): string[] {
  const to = expansion(variables, scope);
  expandIn(text, to, new Map());
  return to.evals;
}
