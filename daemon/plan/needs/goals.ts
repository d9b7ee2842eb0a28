/** Goals on a command line that no build file speaks of: then the local tool's own message is right. Pure. */
import { expand } from './make-expand.ts';
import { plainName } from './make-functions.ts';
import { mergedVariables, type Scope } from './make-variables.ts';
import type { Makefile } from './makefile.ts';

/** A target whose name is made by a function or a substitution reference. */
const computed = /\$[({][^)}]*[\s:,]|\$\$|`/;

function patternOf(target: string): RegExp {
  const [before = '', after = ''] = target
    .split('%', 2)
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${before}.+${after}$`, 's');
}

/**
 * The goals that no rule names and no pattern matches. Empty when a rule cannot be evaluated: in doubt there is one.
 * Whether a file of that name, or a source for make's own rules, is there is for the caller to see.
 */
export function goalsWithoutRule(
  makefiles: readonly Makefile[],
  goals: readonly string[],
  scope: Scope,
): string[] {
  const variables = mergedVariables(makefiles);
  const names = new Set<string>();
  const patterns: RegExp[] = [];
  for (const { targets } of makefiles.flatMap((makefile) => makefile.rules)) {
    if (computed.test(targets)) return [];
    const found = expand(targets, variables, scope).trim();
    if (found === '' || /[$;]/.test(found)) return [];
    for (const each of found.split(/\s+/)) {
      if (each === '.DEFAULT' || each === '%') return [];
      if (each.includes('%')) patterns.push(patternOf(each));
      else names.add(plainName(each));
    }
  }
  return goals.filter((goal) => {
    const plain = plainName(goal);
    // lib.a(member) and names with a variable are left to make.
    if (/[()$%]/.test(plain) || plain === '') return false;
    return !names.has(plain) && !patterns.some((pattern) => pattern.test(plain));
  });
}

/** The goals of which no text of ninja's build files holds even the last part; `goal^` names what is made of it. */
export function goalsWithoutMention(texts: readonly string[], goals: readonly string[]): string[] {
  return goals.filter((goal) => {
    const name = goal.replace(/\^$/, '').split('/').at(-1) ?? '';
    return /^[\w.+-]+$/.test(name) && !texts.some((text) => text.includes(name));
  });
}
