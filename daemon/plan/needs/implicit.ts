/**
 * What make's built-in rules call and pass on, whether or not a recipe names it: GNU make manual, "Catalogue of
 * Built-In Rules" and "Variables Used by Implicit Rules". Pure.
 */
import { familyOf } from '../../classify/family.ts';
import { expand } from './make-expand.ts';
import { mergedVariables, setValues, type Scope, type Variables } from './make-variables.ts';
import type { Makefile } from './makefile.ts';
import { addNeeds, flagNeeds, noNeeds, shellNeeds, type Needs } from './needs.ts';

type Rule = {
  /** Sources that it starts from. */
  readonly sources: RegExp;
  /** Variables of the programs, the one that its kind of source is about first. */
  readonly programs: readonly string[];
  readonly flags: readonly string[];
  readonly usual: string;
  /** Whether a program that is named anyway stands for the usual one. */
  readonly stands: (program: string) => boolean;
};

const linking = ['LDFLAGS', 'LDLIBS', 'LOADLIBES', 'TARGET_ARCH', 'TARGET_MACH'];

const rules: readonly Rule[] = [
  {
    sources: /\.(c|S)$/,
    programs: ['CC', 'AS', 'LD'],
    flags: ['CFLAGS', 'CPPFLAGS', 'ASFLAGS', ...linking],
    usual: 'cc',
    stands: (program) => familyOf(program) === 'compiler',
  },
  {
    sources: /\.(cc|cp|cxx|cpp|c\+\+|C)$/,
    programs: ['CXX', 'CC', 'LD'],
    flags: ['CXXFLAGS', 'CPPFLAGS', ...linking],
    usual: 'g++',
    stands: (program) => familyOf(program) === 'compiler' && program.includes('++'),
  },
  {
    sources: /\.ll?$/,
    programs: ['LEX'],
    flags: ['LFLAGS'],
    usual: 'lex',
    stands: (program) => /lex$/.test(program),
  },
  {
    sources: /\.yy?$/,
    programs: ['YACC'],
    flags: ['YFLAGS'],
    usual: 'yacc',
    stands: (program) => /(yacc|bison)$/.test(program),
  },
];

export type ImplicitRule = Pick<Rule, 'sources' | 'usual' | 'stands'> & {
  /** What variables that somebody set bring in. */
  readonly needs: Needs;
  /** Somebody says which program it is. */
  readonly named: boolean;
};

/** `.SUFFIXES:` without names takes the built-in rules away; another one may bring some of them back. */
function takesRulesAway({ rules: own }: Makefile): boolean {
  const lists = own.filter(({ targets }) => targets === '.SUFFIXES');
  return (
    lists.some(({ prerequisites }) => prerequisites.trim() === '') &&
    !lists.some(({ prerequisites }) => rules.some(({ sources }) => names(prerequisites, sources)))
  );
}

function names(suffixes: string, sources: RegExp): boolean {
  return suffixes.split(/\s+/).some((suffix) => sources.test(suffix));
}

function ruleOf(rule: Rule, variables: Variables, scope: Scope): ImplicitRule {
  const needs = noNeeds();
  for (const name of rule.programs)
    for (const value of setValues(name, variables, scope)) {
      const text = expand(value, variables, scope);
      shellNeeds(text, needs);
      flagNeeds(text, needs);
    }
  for (const name of rule.flags)
    for (const value of setValues(name, variables, scope))
      flagNeeds(expand(value, variables, scope), needs);
  const [first = ''] = rule.programs;
  const named = setValues(first, variables, scope).length > 0;
  return { ...rule, needs, named };
}

/** The built-in rules that may apply, with what the variables they use come to. */
export function implicitRules(makefiles: readonly Makefile[], scope: Scope): ImplicitRule[] {
  const ruled = makefiles.filter((makefile) => makefile.rules.length > 0);
  if (ruled.length > 0 && ruled.every(takesRulesAway)) return [];
  const variables = mergedVariables(makefiles);
  return rules.map((rule) => ruleOf(rule, variables, scope));
}

/** Adds what the built-in rules want for these sources. */
export function takeImplicit(
  needs: Needs,
  implicit: readonly ImplicitRule[],
  sources: readonly string[],
): void {
  for (const rule of implicit) {
    if (!sources.some((path) => rule.sources.test(path))) continue;
    addNeeds(needs, rule.needs);
    if (!rule.named && ![...needs.programs].some(rule.stands)) needs.programs.add(rule.usual);
  }
}
