/** Variables of makefiles, and the values that they are given. Pure. */
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
  // Where make works, and what it reads there, by relative names.
  ['CURDIR', '.'],
  ['MAKEFILE_LIST', 'Makefile'],
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
  // The environment's SHELL is never make's.
  const hidden = own?.certain === true || name === 'SHELL';
  const outer = hidden ? undefined : scope.environment.get(name);
  return [...(outer === undefined ? [] : [outer]), ...(own?.values ?? [])];
}

/** Whether somebody sets the variable whatever is true, so that make's own value for it never counts. */
export function isSettled(name: string, variables: Variables, scope: Scope): boolean {
  return (
    scope.given.has(name) ||
    variables.get(name)?.certain === true ||
    (name !== 'SHELL' && scope.environment.get(name) !== undefined)
  );
}

/** make's own value. */
export function usualValue(name: string): string | undefined {
  return defaults.get(name);
}
