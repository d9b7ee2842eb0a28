/** Takes a shell line apart into its simple commands, by the grammar of the unbash package. Pure, and never throws. */
import { posix } from 'node:path';
import { forEachChild, parse, type SyntaxNode, type Word as ShellWord } from 'unbash';

/** A word of a command; `value` is what the program gets, or the source text where an expansion decides. */
export type Word = { readonly value: string; readonly literal: boolean };

export type SimpleCommand = {
  readonly text: string;
  readonly assignments: readonly { readonly name: string; readonly value: Word }[];
  /** Empty for a line of assignments alone. */
  readonly words: readonly Word[];
  /** Where it runs, after the `cd` before it; undefined when that cannot be told. */
  readonly cwd: string | undefined;
};

export type Structure = {
  /** In the order of the line; those of substitutions, functions and here-documents too. */
  readonly commands: readonly SimpleCommand[];
  /** What there is besides simple commands, in words: `a pipeline`, `a redirection`. */
  readonly features: readonly string[];
  /** Why the line could not be read whole; what could be read is in `commands`. */
  readonly trouble: string | undefined;
};

/**
 * The parser reads a nested substitution once for each level around it, and looks for the end of each here-document
 * in all that follows. Characters times levels above this are not read, so that no line holds the daemon up.
 */
const MOST_WORK = 600_000;

function tooMuch(line: string): boolean {
  let levels = 1;
  for (const found of line.matchAll(/[$<>]\(|`|\$\{|<<|\(\)/g)) {
    // A here-document costs more than a level.
    levels += found[0] === '<<' ? 4 : 1;
    if (levels * line.length > MOST_WORK) return true;
  }
  return line.length > MOST_WORK;
}

const features: Partial<Record<SyntaxNode['type'], string>> = {
  Pipeline: 'a pipeline',
  AndOr: 'a chain',
  Redirect: 'a redirection',
  HereDoc: 'a here-document',
  HereString: 'a here-string',
  Subshell: 'a subshell',
  BraceGroup: 'a group',
  CommandExpansion: 'a substitution',
  ProcessSubstitution: 'a process substitution',
  For: 'a loop',
  While: 'a loop',
  Select: 'a loop',
  ArithmeticFor: 'a loop',
  If: 'a condition',
  Case: 'a condition',
  Function: 'a function',
  Coproc: 'a coprocess',
};

/** Nodes whose commands run in a shell of their own: a `cd` in there changes nothing out here. */
const ownShell: ReadonlySet<SyntaxNode['type']> = new Set([
  'Subshell',
  'CommandExpansion',
  'ArithmeticCommandExpansion',
  'ProcessSubstitution',
  'Coproc',
  'Function',
]);

const fixedParts: ReadonlySet<string> = new Set(['Literal', 'SingleQuoted', 'AnsiCQuoted']);

function isLiteral(word: ShellWord): boolean {
  if (word.text.startsWith('~')) return false;
  return (word.parts ?? []).every((part) =>
    part.type === 'DoubleQuoted' || part.type === 'LocaleString'
      ? part.parts.every((inner) => inner.type === 'Literal')
      : fixedParts.has(part.type),
  );
}

function wordOf(word: ShellWord): Word {
  const literal = isLiteral(word);
  return { literal, value: literal ? word.value : word.text };
}

type Scope = { cwd: string | undefined };
type Reading = { source: string; readonly commands: SimpleCommand[]; readonly seen: Set<string> };

function takeCommand(
  reading: Reading,
  node: Extract<SyntaxNode, { type: 'Command' }>,
  scope: Scope,
): void {
  const assignments: { name: string; value: Word }[] = [];
  for (const each of node.prefix) {
    if (each.type !== 'Assignment') continue;
    const value =
      each.value.type === 'Word' && each.append !== true
        ? wordOf(each.value)
        : { literal: false, value: each.text };
    assignments.push({ name: each.name, value });
  }
  const words = node.name === undefined ? [] : [wordOf(node.name)];
  for (const each of node.args)
    words.push(each.type === 'Word' ? wordOf(each) : { literal: false, value: each.text });
  const text = reading.source.slice(node.pos, node.end).trim();
  reading.commands.push({ text, assignments, words, cwd: scope.cwd });
  const [name, folder] = words;
  if (name?.value !== 'cd' && name?.value !== 'pushd') return;
  const known = words.length === 2 && folder?.literal === true && !folder.value.startsWith('-');
  scope.cwd = known && scope.cwd !== undefined ? posix.resolve(scope.cwd, folder.value) : undefined;
}

function walk(reading: Reading, node: SyntaxNode, scope: Scope): void {
  const feature = features[node.type];
  if (feature !== undefined && !(node.type === 'Pipeline' && node.commands.length < 2))
    reading.seen.add(feature);
  if (node.type === 'Statement' && node.background === true) reading.seen.add('a background job');
  const inner = ownShell.has(node.type) ? { ...scope } : scope;
  const around = reading.source;
  if (node.type === 'Script' && node.source !== undefined) reading.source = node.source;
  if (node.type === 'Command') takeCommand(reading, node, inner);
  const apart = (node.type === 'Pipeline' && node.commands.length > 1) || isBackground(node);
  forEachChild(node, (child) => {
    walk(reading, child, apart ? { ...inner } : inner);
  });
  reading.source = around;
}

function isBackground(node: SyntaxNode): boolean {
  return node.type === 'Statement' && node.background === true;
}

/** The structure of a line that runs in `cwd`. */
export function structureOf(line: string, cwd: string | undefined): Structure {
  const reading: Reading = { source: line, commands: [], seen: new Set() };
  const done = (trouble: string | undefined): Structure => ({
    commands: reading.commands,
    features: [...reading.seen],
    trouble,
  });
  if (tooMuch(line)) return done('it is too long or too deeply nested to be read');
  try {
    const script = parse(line);
    const several = script.commands.length > 1;
    if (several) reading.seen.add('a chain');
    walk(reading, script, { cwd });
    return done(script.errors?.[0]?.message);
  } catch {
    // Deeper than the stack: the package recurses.
    return done('it is too deeply nested to be read');
  }
}
