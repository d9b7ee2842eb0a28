/**
 * Reads makefiles well enough to tell what a goal would call: variables, rules, recipes. Both branches of every
 * conditional count, and what cannot be evaluated counts too, so that the answer errs towards needing more. Pure.
 */
import { cpuFlags } from './cpu.ts';
import {
  expand,
  expandMarked,
  mergedVariables,
  withoutMarks,
  type Assigned,
  type Scope,
  type Variables,
} from './make-variables.ts';
import { flagNeeds, noNeeds, shellNeeds, type Needs } from './needs.ts';
import { shellVariables } from './variables.ts';

type Rule = { readonly targets: string; readonly prerequisites: string; readonly recipe: string[] };

export type Makefile = {
  readonly variables: Map<string, Assigned>;
  readonly rules: Rule[];
  readonly includes: string[];
  /** Conditionals and exports: they look at variables whatever the goal is. */
  readonly looks: string[];
};

function logicalLines(text: string): string[] {
  return text.replace(/\\\r?\n/g, ' ').split('\n');
}

function withoutComment(line: string): string {
  const at = line.search(/(^|[^\\])#/);
  return at < 0 ? line : line.slice(0, line.charAt(at) === '#' ? at : at + 1);
}

const variableLine =
  /^\s*(?:export\s+|override\s+|private\s+)*([\w.${}()-]+)\s*(::?:?|\?|\+|!)?=\s*(.*)$/;
const lookingLine = /^\s*(?:else\s+)?(?:ifn?eq|ifn?def|export)\b/;
const conditionalLine = /^\s*(?:(if(?:n?eq|n?def))|endif)\b/;
const includeLine = /^\s*[-s]?include\s+(.*)$/;
const ruleLine = /^([^\s#=:][^=:]*?)\s*::?(?!=)\s*(.*)$/;

/** Where the colon of a rule stands outside `$(…)`. */
function splitRule(line: string): { targets: string; tail: string } | undefined {
  let depth = 0;
  for (let at = 0; at < line.length; at += 1) {
    const char = line.charAt(at);
    if (char === '(' || char === '{') depth += 1;
    else if (char === ')' || char === '}') depth -= 1;
    else if (char === ':' && depth <= 0) {
      if (/^::?:?=/.test(line.slice(at))) return undefined;
      return { targets: line.slice(0, at).trim(), tail: line.slice(at).replace(/^::?/, '') };
    } else if (char === '=' && depth <= 0) return undefined;
  }
  return undefined;
}

function assign(makefile: Makefile, line: RegExpExecArray, always: boolean): void {
  const [, name = '', operator = '', text = ''] = line;
  // `X != command` is `X := $(shell command)`.
  const value = operator === '!' ? `$(shell ${text})` : text;
  const known = makefile.variables.get(name);
  makefile.variables.set(name, {
    values: [...(known?.values ?? []), value],
    certain: known?.certain === true || (always && !/[?+]/.test(operator)),
  });
}

export function parseMakefile(text: string): Makefile {
  const makefile: Makefile = { variables: new Map(), rules: [], includes: [], looks: [] };
  let rule: Rule | undefined;
  let conditionals = 0;
  for (const whole of logicalLines(text)) {
    if (whole.startsWith('\t')) {
      rule?.recipe.push(whole.slice(1));
      continue;
    }
    const line = withoutComment(whole);
    if (line.trim() === '') continue;
    if (lookingLine.test(line)) makefile.looks.push(line);
    const conditional = conditionalLine.exec(line);
    if (conditional !== null) conditionals += conditional[1] === undefined ? -1 : 1;
    const included = includeLine.exec(line);
    const assigned = variableLine.exec(line);
    if (included?.[1] !== undefined) makefile.includes.push(included[1]);
    else if (assigned !== null) assign(makefile, assigned, conditionals <= 0);
    else if (ruleLine.test(line) || splitRule(line) !== undefined) {
      const split = splitRule(line);
      if (split === undefined) continue;
      const forTarget = variableLine.exec(split.tail);
      if (forTarget !== null) assign(makefile, forTarget, false);
      const tail = forTarget === null ? split.tail : '';
      const [prerequisites = '', ...inline] = tail.split(';');
      rule = { targets: split.targets, prerequisites, recipe: inline };
      makefile.rules.push(rule);
    }
  }
  return makefile;
}

/** Rules that only bring build files up to date; whether they would act is judged by times (stale.ts). */
const regenerates =
  /(^|\/)(GNUmakefile|[Mm]akefile(\.in)?|configure|config\.status|aclocal\.m4|config\.h\.in|stamp-h\w*)$/;

/** `.PHONY` and its kin: GNU make manual, "Special Built-in Target Names". Their prerequisites are no goals. */
const special = /^\.[A-Z_]+$/;

/** What only a shell on the worker would know, in a marked line: `X`, `$(X)` and make's own `$(shell X)`. */
const substitution = /`([^`]*)`|\x03([^\x04]*)\x04|\$\(([^()]*)\)/g;

/**
 * The calls of make in a marked line of a recipe, with a backtick where a substitution stood; `uname` is answered here.
 * What is only said (`echo run make clean`) is none.
 */
function makeCalls(line: string): string[] {
  const inner: string[] = [];
  const outer = line.replace(substitution, (_, ...found: (string | undefined)[]) => {
    const command = found.slice(0, 3).find((each) => each !== undefined) ?? '';
    if (/^\s*uname(\s+-s)?\s*$/.test(command)) return 'Linux';
    inner.push(command);
    return '`';
  });
  const calls = outer
    .split(/&&|[;|&]/)
    .filter((part) => /\bg?make\b/.test(part))
    .filter((part) => !/^[\s@+({-]*(?:(?:then|do|else)\s+)?(?:echo|printf)\b/.test(part));
  return [...calls, ...inner.flatMap(makeCalls)];
}

/** Whether a call of make has a goal that a substitution makes; the value of an option is none. */
function unknownGoal(call: string): boolean {
  const words = call.replace(/^.*?\bg?make\b/s, '');
  return /\s`/.test(words.replace(/\s-[A-Za-z]*[CfIoWEjl]\s+`/g, ''));
}

/** A target that may be asked for by any name: a pattern, a suffix rule, or one we cannot evaluate. */
function openTarget(target: string): boolean {
  return target.includes('%') || target.includes('$') || /^\.\w/.test(target);
}

const words = (text: string): string[] => text.split(/[\s;()`'"]+/).filter((word) => word !== '');

/** Recipes that the goals reach, over all makefiles at once: names of targets are looked at, not folders. */
export function reachedRecipes(
  makefiles: readonly Makefile[],
  goals: readonly string[],
  scope: Scope,
): string[] {
  const variables = mergedVariables(makefiles);
  const rules = makefiles.flatMap((makefile) =>
    makefile.rules.map((rule) => ({
      targets: words(expand(rule.targets, variables, scope)),
      prerequisites: words(expand(rule.prerequisites, variables, scope)),
      recipe: rule.recipe.map((line) => expandMarked(line, variables, scope)),
    })),
  );
  const asked = new Set(goals.length > 0 ? goals : []);
  for (const makefile of makefiles) {
    // A recursive make without a goal takes the first target of its own makefile.
    const first = makefile.rules.map((rule) => words(expand(rule.targets, variables, scope))[0]);
    const name = first.find((each) => each !== undefined && !openTarget(each));
    if (name !== undefined && (goals.length === 0 || makefile !== makefiles[0])) asked.add(name);
  }
  const reached: string[] = [];
  const pending = new Set(
    rules.filter((rule) => !rule.targets.every((each) => special.test(each))),
  );
  let anything = false;
  for (let grew = true; grew;) {
    grew = false;
    for (const rule of pending) {
      if (!anything && !rule.targets.some((target) => openTarget(target) || asked.has(target)))
        continue;
      pending.delete(rule);
      grew = true;
      if (rule.targets.every((target) => regenerates.test(target))) continue;
      reached.push(...rule.recipe.map(withoutMarks));
      for (const each of rule.prerequisites) asked.add(each);
      for (const line of rule.recipe) {
        const calls = makeCalls(line);
        if (calls.length === 0) continue;
        for (const each of words(withoutMarks(line))) asked.add(each);
        if (/\buname\b/.test(line)) asked.add('Linux');
        if (calls.some(unknownGoal)) anything = true;
      }
    }
  }
  return reached;
}

/** Flags that implicit rules pass on: what they hold counts whether or not a recipe names them. */
const implicitFlags =
  /^(CFLAGS|CXXFLAGS|CPPFLAGS|LDFLAGS|LDLIBS|LOADLIBES|LIBS|ASFLAGS|ARFLAGS|EXTRA_\w+|\w*_(CFLAGS|CXXFLAGS|CPPFLAGS|LDFLAGS|LDADD|LIBS))$/;

/** `$(MAKE) CC=clang`: a recipe says what another make, or a script, calls. */
const handedOn = /(?:^|\s)(?:HOST|BUILD_|TARGET_)?(?:CC|CXX|AS|LD)=("[^"\n]*"|'[^'\n]*'|\S+)/gm;

function handedPrograms(recipes: string, needs: Needs): void {
  for (const [, value = ''] of recipes.matchAll(handedOn))
    shellNeeds(value.replace(/^["']|["']$/g, ''), needs);
}

/** `ifdef N`, `ifeq ($(N),…)`, `export N`. */
function lookedAt(
  { looks }: Makefile,
  variables: Variables,
  { scope, needs }: { readonly scope: Scope; readonly needs: Needs },
): void {
  for (const line of looks) {
    shellVariables(expand(line, variables, scope), needs);
    const plain = /^\s*(?:else\s+)?(?:ifn?def|export)\s+([\w\s]+)/.exec(line)?.[1] ?? '';
    for (const name of words(plain)) needs.variables.add(name);
  }
}

export type MakeNeeds = {
  readonly needs: Needs;
  /** True when sources are found by wildcard: then every source below counts. */
  readonly wildcard: boolean;
};

export function makeNeeds(
  makefiles: readonly Makefile[],
  goals: readonly string[],
  scope: Scope,
): MakeNeeds {
  const needs = noNeeds();
  const variables = mergedVariables(makefiles);
  const recipes = reachedRecipes(makefiles, goals, scope).join('\n');
  shellNeeds(recipes, needs);
  flagNeeds(recipes, needs);
  handedPrograms(recipes, needs);
  shellVariables(recipes, needs);
  let all = recipes;
  for (const [name, { values }] of variables) {
    const text = expand(values.join(' '), variables, scope);
    all += `\n${text}\n${values.join(' ')}`;
    if (implicitFlags.test(name)) {
      flagNeeds(text, needs);
      shellVariables(text, needs);
    } else {
      for (const word of words(text)) if (!regenerates.test(word)) needs.words.add(word);
      for (const flag of cpuFlags(text)) needs.cpu.add(flag);
    }
    for (const [, call = ''] of text.matchAll(/;([^;]*);/g)) {
      shellNeeds(call, needs);
      shellVariables(call, needs);
    }
  }
  for (const value of scope.given.values()) flagNeeds(value, needs);
  // A goal without a rule is made by a built-in one, of the source of that name.
  for (const goal of goals) needs.words.add(goal);
  let named = '';
  for (const makefile of makefiles) {
    lookedAt(makefile, variables, { scope, needs });
    for (const rule of makefile.rules) {
      named += `\n${rule.targets} ${rule.prerequisites}`;
      for (const word of words(`${rule.targets} ${rule.prerequisites}`))
        if (!regenerates.test(word)) needs.words.add(word);
    }
  }
  shellVariables(named.includes('$') ? expand(named, variables, scope) : '', needs);
  const wildcard =
    /\*\.\w|\$\(wildcard|\bfind\s|%\.(c|cc|cpp|cxx|C)\b/.test(all) ||
    /\*\.\w|[({]wildcard\s/.test(named);
  return { needs, wildcard };
}
