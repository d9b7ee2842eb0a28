/** Reads the lines of a makefile: variables, rules, recipes. Both branches of every conditional count. Pure. */
import type { Assigned } from './make-variables.ts';

type Rule = { readonly targets: string; readonly prerequisites: string; readonly recipe: string[] };

export type Makefile = {
  readonly variables: Map<string, Assigned>;
  readonly rules: Rule[];
  readonly includes: string[];
  /** Conditionals and exports: they look at variables whatever the goal is. */
  readonly looks: string[];
  /** Lines that are nothing but references: `$(info …)`, `$(eval …)`, a list of rules. */
  readonly calls: string[];
};

function logicalLines(text: string): string[] {
  return text.replace(/\\\r?\n/g, ' ').split('\n');
}

function withoutComment(line: string): string {
  const at = line.search(/(^|[^\\])#/);
  return at < 0 ? line : line.slice(0, line.charAt(at) === '#' ? at : at + 1);
}

const variableLine =
  /^\s*(?:export\s+|override\s+|private\s+)*((?:[\w.-]|\$\w|\$\([^()]*\)|\$\{[^{}]*\})+)\s*(::?:?|\?|\+|!)?=\s*(.*)$/;
const lookingLine = /^\s*(?:else\s+)?(?:ifn?eq|ifn?def|export)\b/;
const conditionalLine = /^\s*(?:(if(?:n?eq|n?def))|endif)\b/;
const includeLine = /^\s*[-s]?include\s+(.*)$/;
const defineLine = /^\s*(?:export\s+|override\s+)*define\s+(\S+)/;
const callLine = /^\s*\$[({]/;

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

/** The lines of `define NAME` up to its `endef` are the value of the variable. */
function takeDefinition(makefile: Makefile, name: string, lines: ArrayIterator<string>): void {
  const body: string[] = [];
  let depth = 1;
  for (let next = lines.next(); next.done !== true; next = lines.next()) {
    if (defineLine.test(next.value)) depth += 1;
    else if (/^\s*endef\b/.test(next.value)) depth -= 1;
    if (depth === 0) break;
    body.push(next.value);
  }
  const known = makefile.variables.get(name);
  const values = [...(known?.values ?? []), body.join('\n')];
  makefile.variables.set(name, { values, certain: known?.certain === true });
}

/** Reads a line that is neither of a recipe nor of a definition; the rule that it begins. */
function takeLine(makefile: Makefile, line: string, always: boolean): Rule | undefined {
  const included = includeLine.exec(line);
  const assigned = variableLine.exec(line);
  if (included?.[1] !== undefined) makefile.includes.push(included[1]);
  else if (assigned !== null) assign(makefile, assigned, always);
  else {
    const split = splitRule(line);
    if (split === undefined) {
      if (callLine.test(line)) makefile.calls.push(line);
      return undefined;
    }
    const forTarget = variableLine.exec(split.tail);
    if (forTarget !== null) assign(makefile, forTarget, false);
    const tail = forTarget === null ? split.tail : '';
    const [prerequisites = '', ...inline] = tail.split(';');
    const rule = { targets: split.targets, prerequisites, recipe: inline };
    makefile.rules.push(rule);
    return rule;
  }
  return undefined;
}

export function parseMakefile(text: string): Makefile {
  const makefile: Makefile = {
    variables: new Map(),
    rules: [],
    includes: [],
    looks: [],
    calls: [],
  };
  let rule: Rule | undefined;
  let conditionals = 0;
  let prefix = '\t';
  const lines = logicalLines(text).values();
  for (const whole of lines) {
    if (whole.startsWith(prefix) && (rule !== undefined || prefix === '\t')) {
      rule?.recipe.push(whole.slice(1));
      continue;
    }
    const line = withoutComment(whole);
    if (line.trim() === '') continue;
    const defined = defineLine.exec(line)?.[1];
    if (defined !== undefined) {
      takeDefinition(makefile, defined, lines);
      continue;
    }
    prefix = /^\s*\.RECIPEPREFIX\s*:?=\s*(\S)/.exec(line)?.[1] ?? prefix;
    if (lookingLine.test(line)) makefile.looks.push(line);
    const conditional = conditionalLine.exec(line);
    if (conditional !== null) conditionals += conditional[1] === undefined ? -1 : 1;
    rule = takeLine(makefile, line, conditionals <= 0) ?? rule;
  }
  return makefile;
}
