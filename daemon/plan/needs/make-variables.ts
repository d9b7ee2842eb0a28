/** Variables of makefiles, and what references to them come to. Every value that one is ever given counts. Pure. */
import type { Environment } from './asked-environment.ts';

export type Assigned = {
  readonly values: string[];
  /** It is set outside of all conditionals, so that the environment's value never counts. */
  certain: boolean;
};

export type Variables = ReadonlyMap<string, Assigned>;

export type Scope = {
  /** From the command line: these win. */
  readonly given: ReadonlyMap<string, string>;
  readonly environment: Environment;
};

/** make's own: GNU make manual, "Variables Used by Implicit Rules". */
const defaults: ReadonlyMap<string, string> = new Map([
  ['CC', 'cc'],
  ['CXX', 'g++'],
  ['AR', 'ar'],
  ['AS', 'as'],
  ['LD', 'ld'],
  ['LEX', 'lex'],
  ['YACC', 'yacc'],
  ['RM', 'rm -f'],
  ['FC', 'f77'],
  ['MAKE', 'make'],
  ['SHELL', '/bin/sh'],
  ['CPP', 'cc -E'],
  ['@', ''],
  ['<', ''],
  ['^', ''],
  ['?', ''],
  ['*', ''],
]);

export function mergedVariables(
  makefiles: readonly { readonly variables: Variables }[],
): Map<string, Assigned> {
  const merged = new Map<string, Assigned>();
  for (const makefile of makefiles)
    for (const [name, { values, certain }] of makefile.variables) {
      const known = merged.get(name);
      merged.set(name, {
        values: [...(known?.values ?? []), ...values],
        certain: certain && (known?.certain ?? true),
      });
    }
  return merged;
}

/** The values that somebody gives a variable, unexpanded; make's own default is nobody's. */
export function setValues(name: string, variables: Variables, scope: Scope): string[] {
  const given = scope.given.get(name);
  if (given !== undefined) return [given];
  const own = variables.get(name);
  const outer = own?.certain === true ? undefined : scope.environment.get(name);
  return [...(outer === undefined ? [] : [outer]), ...(own?.values ?? [])];
}

/**
 * All values in one text, what the environment or make itself says first: `?=` leaves that, `+=` adds to it (GNU make
 * manual, "Setting Variables"), and where a program stands the first word counts.
 */
function valueOf(name: string, variables: Variables, scope: Scope): string {
  const values = setValues(name, variables, scope);
  const settled =
    scope.given.has(name) ||
    variables.get(name)?.certain === true ||
    scope.environment.get(name) !== undefined;
  const own = settled ? undefined : defaults.get(name);
  // What a value says of its own variable (`X := $(shell cd $(X) && pwd)`) is among the others.
  return [own, ...values]
    .map((each) => each?.replaceAll(`$(${name})`, '').replaceAll(`\${${name}}`, ''))
    .filter((each) => each !== undefined && each !== '')
    .join(' ');
}

const reference = /\$(?:\(([^()$]*)\)|\{([^{}$]*)\}|([@<^?*%+]))/;
/** Stands for `$$` while references are replaced. */
const DOLLAR = '\x02';

const escaped = (text: string): string => text.replaceAll('$$', DOLLAR);

/** Stand around `X` of `$(shell X)`, so that it is told from what a recipe's own `;` separates. */
export const CALL = '\x03';
export const CALLED = '\x04';

/** Replaces references by all values a variable is ever given; `$(shell X)` becomes a command of its own, `$$` a `$`. */
export function expand(text: string, variables: Variables, scope: Scope): string {
  return withoutMarks(expandMarked(text, variables, scope));
}

/** A marked text with `$(shell X)` as a command of its own. */
export function withoutMarks(text: string): string {
  return text.replaceAll(CALL, ' ;').replaceAll(CALLED, '; ');
}

/** As `expand`, but `$(shell X)` stands between marks. */
export function expandMarked(text: string, variables: Variables, scope: Scope): string {
  let at = escaped(text);
  for (let round = 0; round < 200 && at.length < 1 << 18; round += 1) {
    const match = reference.exec(at);
    if (match === null) break;
    const inner = match[1] ?? match[2] ?? match[3] ?? '';
    const call = /^(\w[\w-]*)\s+(.*)$/s.exec(inner);
    let value: string;
    if (call !== null)
      value = call[1] === 'shell' ? `${CALL}${call[2] ?? ''}${CALLED}` : ` ${call[2] ?? ''} `;
    else value = escaped(valueOf(inner.replace(/:.*$/, ''), variables, scope));
    at = at.slice(0, match.index) + value + at.slice(match.index + match[0].length);
  }
  return at.replaceAll(DOLLAR, '$');
}
