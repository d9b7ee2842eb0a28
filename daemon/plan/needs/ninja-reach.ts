/** Which statements of ninja's build files the goals of a command reach (https://ninja-build.org/manual.html). Pure. */
import { posix } from 'node:path';

type Build = { readonly rule: string; readonly outputs: string[]; readonly inputs: string[] };
/** Lines from `from` to before `to`. */
type Block = { readonly text: number; readonly from: number; readonly to: number };
type Statements = {
  readonly builds: (Block & Build)[];
  readonly rules: (Block & { readonly name: string })[];
  readonly defaults: string[];
};

const block = /^(build|rule|default)\s+(.*)$/;
const variable = /^(\w+)\s*=\s*(.*)$/;
/** A path, or what stands between paths; `$ `, `$:` and `$$` mean the character. */
const token = /(?:\$[^\w{]|\$\{?[\w.-]+\}?|[^\s$:|])+|:|\|[|@]?/g;

/** A path as ninja compares it. */
function plainPath(word: string, variables: ReadonlyMap<string, string>): string {
  const path = word.includes('$')
    ? word.replace(
        /\$(?:([^\w{])|\{([\w.-]+)\}|([\w-]+))/g,
        (_, char?: string, braced?: string, bare?: string) =>
          char ?? variables.get(braced ?? bare ?? '') ?? '',
      )
    : word;
  return path.includes('./') || path.includes('//') ? posix.normalize(path) : path;
}

/** The paths of a line, and `:`. */
function wordsOf(line: string): string[] {
  if (line.includes('$')) return line.match(token) ?? [];
  return line.replace(':', ' : ').split(/[ \t]+|\|[|@]?/);
}

function parseBuild(line: string, variables: ReadonlyMap<string, string>): Build {
  const outputs: string[] = [];
  const inputs: string[] = [];
  let rule: string | undefined;
  let after = false;
  for (const word of wordsOf(line)) {
    if (word === '' || word.startsWith('|')) continue;
    if (word === ':') after = true;
    else if (!after) outputs.push(plainPath(word, variables));
    else if (rule === undefined) rule = word;
    else inputs.push(plainPath(word, variables));
  }
  return { rule: rule ?? '', outputs, inputs };
}

function parse(texts: readonly (readonly string[])[]): Statements {
  const found: Statements = { builds: [], rules: [], defaults: [] };
  const variables = new Map<string, string>();
  for (const lines of texts)
    for (const line of lines) {
      const [, name, value] = line.startsWith(' ') ? [] : (variable.exec(line) ?? []);
      if (name !== undefined) variables.set(name, value ?? '');
    }
  for (const [text, lines] of texts.entries())
    for (let from = 0; from < lines.length; from++) {
      const [, kind, rest = ''] = block.exec(lines[from] ?? '') ?? [];
      if (kind === undefined) continue;
      let to = from + 1;
      while (/^[ \t]/.test(lines[to] ?? '')) to += 1;
      if (kind === 'build') found.builds.push({ text, from, to, ...parseBuild(rest, variables) });
      else if (kind === 'rule') found.rules.push({ text, from, to, name: rest.trim() });
      else found.defaults.push(...parseBuild(rest, variables).outputs);
    }
  return found;
}

/** What the goals are made of; undefined where one of them is made by no statement. */
function reach({ builds, defaults }: Statements, goals: readonly string[]): Set<Build> | undefined {
  const makers = new Map<string, Build>();
  for (const build of builds) for (const output of build.outputs) makers.set(output, build);
  const wanted = goals.length > 0 ? goals.map((goal) => posix.normalize(goal)) : defaults;
  if (wanted.length === 0 || wanted.some((goal) => !makers.has(goal))) return undefined;
  const reached = new Set<Build>();
  // ninja brings its own file up to date before anything else.
  const pending = [...wanted, 'build.ninja'];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const build = makers.get(path);
    if (build === undefined || reached.has(build)) continue;
    reached.add(build);
    pending.push(...build.inputs);
  }
  return reached;
}

/**
 * The texts without the statements and rules that the goals do not reach; all of them where that cannot be told.
 * Lines that end in `$` have been joined.
 */
export function reachedTexts(texts: readonly string[], goals: readonly string[]): string[] {
  // A dyndep file, made by the build, may add inputs.
  if (texts.some((text) => /^\s*dyndep\s*=/m.test(text))) return [...texts];
  const lines = texts.map((text): (string | undefined)[] => text.split('\n'));
  const statements = parse(lines as string[][]);
  const reached = reach(statements, goals);
  if (reached === undefined) return [...texts];
  const rules = new Set([...reached].map(({ rule }) => rule));
  const idle = [
    ...statements.builds.filter((build) => !reached.has(build)),
    ...statements.rules.filter(({ name }) => !rules.has(name)),
  ];
  for (const { text, from, to } of idle) lines[text]?.fill(undefined, from, to);
  return lines.map((each) => each.filter((line) => line !== undefined).join('\n'));
}
