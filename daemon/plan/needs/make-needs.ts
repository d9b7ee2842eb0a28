/**
 * Reads makefiles well enough to tell what a goal would call. What cannot be evaluated counts too, so that the answer
 * errs towards needing more. Pure.
 */
import { cpuFlags } from './cpu.ts';
import { expand, expandMarked, withoutMarks } from './make-expand.ts';
import { callsOf } from './make-functions.ts';
import { evaluatedFiles, reachedRecipes, regenerates, words } from './make-reach.ts';
import { mergedVariables, setValues, type Scope, type Variables } from './make-variables.ts';
import type { Makefile } from './makefile.ts';
import { flagNeeds, noNeeds, shellNeeds, type Needs } from './needs.ts';
import { shellVariables } from './variables.ts';

/** Flags that implicit rules pass on: what they hold counts whether or not a recipe names them. */
const implicitFlags =
  /^(CFLAGS|CXXFLAGS|CPPFLAGS|LDFLAGS|LDLIBS|LOADLIBES|LIBS|ASFLAGS|ARFLAGS|EXTRA_\w+|\w*_(CFLAGS|CXXFLAGS|CPPFLAGS|LDFLAGS|LDADD|LIBS))$/;

/** `$(MAKE) CC=clang`: a recipe says what another make, or a script, calls. */
const handedOn = /(?:^|\s)(?:HOST|BUILD_|TARGET_)?(?:CC|CXX|AS|LD)=("[^"\n]*"|'[^'\n]*'|\S+)/gm;

function handedPrograms(recipes: string, needs: Needs): void {
  for (const [, value = ''] of recipes.matchAll(handedOn))
    shellNeeds(value.replace(/^["']|["']$/g, ''), needs);
}

/** What a text that make expands by itself calls and reads: `$(shell X)`. */
function callNeeds(text: string, needs: Needs): void {
  for (const call of callsOf(text)) {
    shellNeeds(call, needs);
    shellVariables(call, needs);
    for (const [word] of call.matchAll(/\S+/g)) needs.words.add(word);
  }
}

/** `ifdef N`, `ifeq ($(N),…)`, `export N`, `include $(N)`, `$(info $(N))`: whatever the goal is. */
function lookedAt(
  { looks, includes, calls }: Makefile,
  variables: Variables,
  { scope, needs }: { readonly scope: Scope; readonly needs: Needs },
): void {
  for (const line of [...looks, ...includes, ...calls])
    callNeeds(expandMarked(line, variables, scope), needs);
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
  read: readonly Makefile[],
  goals: readonly string[],
  scope: Scope,
): MakeNeeds {
  const needs = noNeeds();
  const makefiles = [...read, ...evaluatedFiles(read, scope)];
  const variables = mergedVariables(makefiles);
  const recipes = reachedRecipes(makefiles, goals, { variables, scope }).join('\n');
  shellNeeds(recipes, needs);
  flagNeeds(recipes, needs);
  handedPrograms(recipes, needs);
  shellVariables(recipes, needs);
  let all = recipes;
  for (const [name, { values }] of variables) {
    const marked = expandMarked(values.join(' '), variables, scope);
    const text = withoutMarks(marked);
    all += `\n${text}\n${values.join(' ')}`;
    if (implicitFlags.test(name)) {
      flagNeeds(text, needs);
      shellVariables(text, needs);
    } else {
      for (const word of words(text)) if (!regenerates.test(word)) needs.words.add(word);
      for (const flag of cpuFlags(text)) needs.cpu.add(flag);
    }
    callNeeds(marked, needs);
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
  const reads = named.includes('$') ? expandMarked(named, variables, scope) : '';
  shellVariables(reads, needs);
  callNeeds(reads, needs);
  for (const shell of setValues('SHELL', variables, scope))
    shellNeeds(expand(shell, variables, scope), needs);
  const wildcard =
    /\*\.\w|\$\(wildcard|\bfind\s|%\.(c|cc|cpp|cxx|C)\b/.test(all) ||
    /\*\.\w|[({]wildcard\s/.test(named);
  return { needs, wildcard };
}
