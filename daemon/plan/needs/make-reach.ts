/** What goals reach in makefiles: by names and patterns of targets, and by what recipes give another make. Pure. */
import { evaluated, expand, expandMarked, withoutMarks } from './make-expand.ts';
import { plainName } from './make-functions.ts';
import { mergedVariables, type Scope, type Variables } from './make-variables.ts';
import { parseMakefile, type Makefile } from './makefile.ts';

/** Rules that only bring build files up to date; whether they would act is judged by times (stale.ts). */
export const regenerates =
  /(^|\/)(GNUmakefile|[Mm]akefile(\.in)?|configure|config\.status|aclocal\.m4|config\.h\.in|stamp-h\w*)$/;

/** `.PHONY` and its kin: GNU make manual, "Special Built-in Target Names". Their prerequisites are no goals. */
const special = /^\.(?!DEFAULT$)[A-Z_]+$/;

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
  return /[%$*?[`]/.test(target) || /^\.\w/.test(target);
}

/** A name that stands for files that nobody looked for: `$(wildcard *.c)`, and what was made of that. */
function globOf(name: string): RegExp | undefined {
  if (!/[*?]/.test(name)) return undefined;
  const pattern = name
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${pattern}$`, 's');
}

/** Names of targets that somebody asks for. */
class Asked {
  readonly #names = new Set<string>();
  readonly #globs = new Map<string, RegExp>();

  add(name: string): void {
    const plain = plainName(name);
    const glob = globOf(plain);
    if (glob === undefined) this.#names.add(plain);
    else this.#globs.set(plain, glob);
  }

  has(target: string): boolean {
    return this.#names.has(target) || [...this.#globs.values()].some((glob) => glob.test(target));
  }
}

/** The makefiles that `eval`, or a list of rules in a variable, come to. */
export function evaluatedFiles(makefiles: readonly Makefile[], scope: Scope): Makefile[] {
  const all: Makefile[] = [];
  // One may define what another evaluates.
  for (let fresh = makefiles, round = 0; fresh.length > 0 && round < 3; round += 1) {
    const variables = mergedVariables([...makefiles, ...all]);
    fresh = fresh
      .flatMap((makefile) => makefile.calls)
      .flatMap((line) => evaluated(line, variables, scope))
      .map(parseMakefile);
    all.push(...fresh);
  }
  return all;
}

export const words = (text: string): string[] =>
  text.split(/[\s;()`'"]+/).filter((word) => word !== '');

/** Of each makefile the first target, which a make without a goal makes there. */
function firstTargets(
  makefiles: readonly Makefile[],
  variables: Variables,
  scope: Scope,
): (string | undefined)[] {
  return makefiles.map(({ rules }) =>
    rules
      .map((rule) => words(expand(rule.targets, variables, scope))[0])
      .find((each) => each !== undefined && !openTarget(each)),
  );
}

/**
 * Recipes that the goals reach, over all makefiles at once: names of targets are looked at, not folders. `variables`: those
 * of all of them.
 */
export function reachedRecipes(
  makefiles: readonly Makefile[],
  goals: readonly string[],
  { variables, scope }: { readonly variables: Variables; readonly scope: Scope },
): string[] {
  const rules = makefiles.flatMap((makefile) =>
    makefile.rules.map((rule) => ({
      targets: words(
        expandMarked(rule.targets, variables, scope).replace(/\x03[^\x04]*\x04/g, '*'),
      ),
      prerequisites: words(expand(rule.prerequisites, variables, scope)),
      lines: rule.recipe,
    })),
  );
  const asked = new Asked();
  for (const goal of goals) asked.add(goal);
  // A recursive make without a goal takes the first target of its own makefile.
  const first = firstTargets(makefiles, variables, scope);
  for (const name of goals.length === 0 ? first : first.slice(1))
    if (name !== undefined) asked.add(name);
  for (const name of words(expand('$(.DEFAULT_GOAL)', variables, scope))) asked.add(name);
  const reached: string[] = [];
  const pending = new Set(
    rules.filter((rule) => !rule.targets.every((each) => special.test(each))),
  );
  let anything = false;
  for (let grew = true; grew;) {
    grew = false;
    for (const rule of pending) {
      if (
        !anything &&
        !rule.targets.some((target) => openTarget(target) || asked.has(plainName(target)))
      )
        continue;
      pending.delete(rule);
      grew = true;
      if (rule.targets.every((target) => regenerates.test(target))) continue;
      const recipe = rule.lines.map((line) => expandMarked(line, variables, scope));
      reached.push(...recipe.map(withoutMarks));
      for (const each of rule.prerequisites) asked.add(each);
      for (const line of recipe) {
        const calls = makeCalls(line);
        if (calls.length === 0) continue;
        // A `*` in a recipe is the shell's.
        for (const each of words(withoutMarks(line))) if (!each.includes('*')) asked.add(each);
        if (/\buname\b/.test(line)) asked.add('Linux');
        if (calls.some(unknownGoal)) anything = true;
      }
    }
  }
  return reached;
}
