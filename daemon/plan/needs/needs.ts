/** What a build wants of the system it runs on, by name; and how to find such names in build files. Pure. */
import { findCommands, unwrap } from '../../classify/line/wrappers.ts';
import { cpuFlags } from './cpu.ts';
import { descriptorsOf } from './descriptors.ts';

export type Needs = {
  /** Names as in command position, or absolute paths. */
  readonly programs: Set<string>;
  /** -l names. */
  readonly libraries: Set<string>;
  /** pkg-config modules. */
  readonly modules: Set<string>;
  /** Headers between angle brackets. */
  readonly headers: Set<string>;
  /** Absolute paths. */
  readonly paths: Set<string>;
  /** Absolute paths outside the project that names with `..` may mean, whether they are there or not. */
  readonly outside: Set<string>;
  /** Those of them in which other builds are started. */
  readonly entered: Set<string>;
  /** -D names. */
  readonly defines: Set<string>;
  /** Subcommands of git. */
  readonly gitCommands: Set<string>;
  /** Flags that ask for instructions of some CPUs (cpu.ts). */
  readonly cpu: Set<string>;
  /** Variables of the environment. */
  readonly variables: Set<string>;
  /** Descriptors above 2 that the caller has to have open. */
  readonly descriptors: Set<string>;
  /** Words of commands that may be scripts, which call others. */
  readonly scripts: Set<string>;
  /** Folders that commands go to before they call others. */
  readonly folders: Set<string>;
  /** Every word, for finding the sources that a build file speaks of. */
  readonly words: Set<string>;
};

export function noNeeds(): Needs {
  return {
    programs: new Set(),
    libraries: new Set(),
    modules: new Set(),
    headers: new Set(),
    paths: new Set(),
    outside: new Set(),
    entered: new Set(),
    defines: new Set(),
    gitCommands: new Set(),
    cpu: new Set(),
    variables: new Set(),
    descriptors: new Set(),
    scripts: new Set(),
    folders: new Set(),
    words: new Set(),
  };
}

export function addNeeds(into: Needs, from: Needs): void {
  for (const key of Object.keys(into) as (keyof Needs)[])
    for (const each of from[key]) into[key].add(each);
}

/** What a shell does itself, and words that begin a line of a makefile's recipe without being a program. */
const builtins = new Set(
  (
    '. : [ [[ alias bg break case cd command continue do done echo elif else esac eval exec exit export false fg fi ' +
    'for function getopts hash if in jobs kill local printf pwd read readonly return set shift source test then time ' +
    'times trap true type ulimit umask unalias unset until wait while { } ! define endef ifeq ifneq ifdef ifndef endif include'
  ).split(' '),
);

const commandStart = /&&|\|\||[;|&()`\n]|\$\(shell\s/;
const keyword = /^(then|do|else|elif|if|while|until|!|\{|\})$/;
const redirection = /^\d*(?:>>|>\||<>|<<<|<<-|<<|<|>)(.*)$/;
/** A quote that nothing closes is a letter: a `;` within quotes has cut the text there. */
const shellWord = /(?:"[^"\n]*"|'[^'\n]*'|\S)+/g;
const interpreter = /(^|\/)((ba|da|k|z)?sh|perl|python[\d.]*|ruby|\.|source)$/;
const script = /\.(sh|bash|py|pl|awk|rb|cmake)$|^\.\//;
/** Questions after programs, of which the answer counts whether or not they are called then. */
const askedAfter =
  /\b(?:command\s+-[vV]|type(?:\s+-\w+)?|hash(?:\s+-\w+)?|which(?:\s+-\w+)?)\s+["']?([A-Za-z_][\w.+-]*)/g;
const assignment = /^[A-Za-z_][A-Za-z0-9_]*\+?=/;
const programName = /^[A-Za-z0-9_./+-]*[A-Za-z0-9_+]$/;

function pkgConfigModules(words: readonly string[], needs: Needs): void {
  for (const word of words) if (/^[A-Za-z][\w.+-]*$/.test(word)) needs.modules.add(word);
}

/** The subcommand of a git command line; some of git's own options take a value. */
function gitCommand(words: readonly string[]): string | undefined {
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (/^(-C|-c|--git-dir|--work-tree|--namespace)$/.test(word)) at += 1;
    else if (!word.startsWith('-')) return word;
  }
  return undefined;
}

/** `in a | b)` and `;; *)` of a `case`: after `in` and `;;` a shell expects patterns, and no command before their `)`. */
const casePattern =
  /(\bin\s|;;&?|;&)\s*\(?\s*(?:"[^"\n]*"|'[^'\n]*'|[^\s()|;&<>`"'])+(?:\s*\|\s*(?:"[^"\n]*"|'[^'\n]*'|[^\s()|;&<>`"'])+)*\s*\)/g;

/** The words of a simple command from its program on. */
function commandWords(part: string): string[] {
  const words = (
    part
      .trim()
      .replace(/^[@+-]+/, '')
      .match(shellWord) ?? []
  ).map((word) => (assignment.test(word) ? word : word.replace(/["']/g, '')));
  for (;;) {
    const [first = ''] = words;
    const file = redirection.exec(first)?.[1];
    if (file === '') words.shift();
    else if (file === undefined && !keyword.test(first) && !assignment.test(first)) return words;
    words.shift();
  }
}

/** The script that an interpreter is given, and the folder that a command goes to. */
function takeArguments(words: readonly string[], needs: Needs): void {
  const [name = '', ...rest] = words;
  const first = rest.find((word) => !word.startsWith('-'));
  if (interpreter.test(name) && first !== undefined) needs.scripts.add(first);
  if (/^(cd|pushd)$/.test(name) && first !== undefined) needs.folders.add(first);
  const at = /(^|\/)g?make$/.test(name) ? rest.indexOf('-C') : -1;
  const folder = at < 0 ? undefined : rest[at + 1];
  if (folder !== undefined) needs.folders.add(folder);
}

/** What one simple command calls, and what its wrappers call (`nice make`, `xargs rm`, `sh -c 'x'`). */
function commandNeeds(given: readonly string[], needs: Needs): void {
  for (const word of given) if (script.test(word)) needs.scripts.add(word);
  const all = given.map((value) => ({ value, literal: true }));
  for (const command of findCommands(all)) commandNeeds(valuesOf(command), needs);
  const { words, wrappers, nested } = unwrap(all);
  if (nested !== undefined) shellNeeds(nested.value, needs);
  else takeArguments(valuesOf(words), needs);
  for (const name of [...wrappers, words[0]?.value ?? '']) {
    if (builtins.has(name) || !programName.test(name)) continue;
    if (/^[\d.+-]+$/.test(name) || name.startsWith('-')) continue;
    needs.programs.add(name);
    if (name.includes('/')) needs.scripts.add(name);
    const rest = valuesOf(words.slice(1));
    const asked = /(^|\/)git$/.test(name) ? gitCommand(rest) : undefined;
    if (asked !== undefined) needs.gitCommands.add(asked);
    if (/(^|\/)(?:\w+-)*pkg-?conf(ig)?$/.test(name)) pkgConfigModules(rest, needs);
  }
}

const valuesOf = (words: readonly { readonly value: string }[]): string[] =>
  words.map((word) => word.value);

/** Adds the programs that shell text calls, the first word of each simple command, or asks after, and its descriptors. */
export function shellNeeds(whole: string, needs: Needs): void {
  const text = whole.replace(/\\\r?\n/g, ' ').replace(casePattern, '$1\n');
  for (const number of descriptorsOf(text)) needs.descriptors.add(number);
  for (const [, name = ''] of text.matchAll(askedAfter)) needs.programs.add(name);
  for (const part of text.split(commandStart)) {
    const words = commandWords(part);
    if (words.length > 0) commandNeeds(words, needs);
  }
}

const libraryFlag = /(?:^|[\s=,'"])-l([A-Za-z0-9_+.][A-Za-z0-9_+.-]*)/g;
const defineFlag = /(?:^|[\s'"])-D\s*([A-Za-z_]\w*)/g;
const absolutePath = /(?:^|[\s='":,;(]|-I|-L|-B|-isystem)(\/[\w.+@%~/-]+)/g;
const anyWord = /[\w.+@%~/-]+/g;

/** Adds what flags and paths in any text name: -l, -D, CPUs, absolute paths, words. */
export function flagNeeds(text: string, needs: Needs): void {
  for (const match of text.matchAll(libraryFlag)) needs.libraries.add(match[1] ?? '');
  for (const match of text.matchAll(defineFlag)) needs.defines.add(match[1] ?? '');
  for (const flag of cpuFlags(text)) needs.cpu.add(flag);
  for (const match of text.matchAll(absolutePath)) needs.paths.add(match[1] ?? '');
  for (const [word] of text.matchAll(anyWord)) {
    needs.words.add(word);
    if (script.test(word)) needs.scripts.add(word);
  }
}
