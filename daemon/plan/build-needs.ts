/** What a build by make, ninja, cmake or meson wants of the system: from its build files and the sources they speak of. */
import { posix } from 'node:path';
import { StatCache, type Watch } from './stat-cache.ts';
import { absolute, exists, isFile, isWithin, namesIn, readRaw } from './files.ts';
import { systemHeaders } from './needs/includes.ts';
import {
  makeNeeds,
  parseMakefile,
  expand,
  mergedVariables,
  type Makefile,
  type Scope,
} from './needs/makefile.ts';
import { goalsWithoutMention, goalsWithoutRule } from './needs/goals.ts';
import { addNeeds, flagNeeds, noNeeds, shellNeeds, type Needs } from './needs/needs.ts';
import { ProjectFiles } from './needs/project-files.ts';

export type BuildQuestion = {
  readonly family: 'make' | 'ninja';
  readonly directory: string;
  /** The root within which sources are looked for. */
  readonly root: string;
  readonly files: readonly string[];
  readonly goals: readonly string[];
  readonly scope: Scope;
};

/** From the build files alone. */
export type BuildFileFacts = {
  readonly needs: Needs;
  readonly wildcard: boolean;
  /** Goals that the build files do not speak of. */
  readonly unknownGoals: readonly string[];
};

const MOST_BUILD_FILES = 3000;
const makefileName = /(^|\/)(GNUmakefile|[Mm]akefile\w*|\w[\w.-]*\.(mk|mak|make))$/;
const flagFile = /(^|\/)(link\.txt|flags\.make|\w+\.rsp)$/;

function firstMakefile(folder: string): string | undefined {
  return ['GNUmakefile', 'makefile', 'Makefile'].map((name) => `${folder}/${name}`).find(isFile);
}

function subfolders(folder: string, words: ReadonlySet<string>): string[] {
  const names = new Set(namesIn(folder));
  return [...words].flatMap((word) => {
    const plain = word.replace(/^\.\//, '').replace(/\/+$/, '');
    const first = plain.split('/')[0] ?? '';
    if (!names.has(first) && first !== '..') return [];
    const makefile = firstMakefile(absolute(plain, folder));
    return makefile === undefined ? [] : [makefile];
  });
}

type Reading = {
  readonly question: BuildQuestion;
  readonly watch: Watch;
  readonly seen: Set<string>;
  readonly makefiles: Makefile[];
  readonly extra: Needs;
  /** Rules may come from what is not read here: `eval`, `define`, an include that is not there yet. */
  open: boolean;
};

const makesRules = /\$[({]\s*(eval|call|file)\b|^\s*(define|load|vpath|VPATH)\b/m;
/** Lists of prerequisites that compilers write. */
const dependencyFile = /\.(d|P|Po|Plo|dep|depend)$|(^|\/)\.?depend/;

function readMakefile(reading: Reading, file: string): void {
  if (reading.seen.has(file) || reading.seen.size >= MOST_BUILD_FILES) return;
  reading.seen.add(file);
  reading.watch(file);
  const text = readRaw(file, 8 << 20);
  if (text === undefined) return;
  const makefile = parseMakefile(text);
  reading.makefiles.push(makefile);
  reading.open ||= makesRules.test(text);
  const folder = posix.dirname(file);
  const variables = mergedVariables(reading.makefiles);
  for (const list of makefile.includes)
    for (const name of expand(list, variables, reading.question.scope).split(/\s+/))
      if (name !== '' && isFile(absolute(name, folder)))
        readMakefile(reading, absolute(name, folder));
      else if (name !== '' && !dependencyFile.test(name)) reading.open = true;
  const words = new Set(text.match(/[\w.+@/-]+/g) ?? []);
  for (const word of words) {
    if (flagFile.test(word)) readFlags(reading, absolute(word, reading.question.directory));
    else if (makefileName.test(word) && !word.endsWith('.d'))
      for (const base of [folder, reading.question.directory])
        if (isFile(absolute(word, base))) readMakefile(reading, absolute(word, base));
  }
  for (const below of subfolders(folder, words))
    if (isWithin(below, reading.question.root)) readMakefile(reading, below);
}

function readFlags(reading: Reading, file: string): void {
  if (reading.seen.has(file)) return;
  reading.seen.add(file);
  reading.watch(file);
  const text = readRaw(file, 8 << 20);
  if (text === undefined) return;
  flagNeeds(text, reading.extra);
  if (file.endsWith('link.txt')) shellNeeds(text, reading.extra);
}

function fromMake(question: BuildQuestion, watch: Watch): BuildFileFacts {
  const reading: Reading = {
    question,
    watch,
    seen: new Set(),
    makefiles: [],
    extra: noNeeds(),
    open: false,
  };
  for (const name of ['GNUmakefile', 'makefile', 'Makefile'])
    watch(`${question.directory}/${name}`);
  const main = firstMakefile(question.directory);
  const files = question.files.map((file) => absolute(file, question.directory));
  for (const file of files.length > 0 ? files : [main ?? '']) readMakefile(reading, file);
  const { needs, wildcard } = makeNeeds(reading.makefiles, question.goals, question.scope);
  addNeeds(needs, reading.extra);
  const unknownGoals = reading.open
    ? []
    : goalsWithoutRule(reading.makefiles, question.goals, question.scope);
  return { needs, wildcard, unknownGoals };
}

type NinjaReading = {
  readonly needs: Needs;
  readonly watch: Watch;
  readonly seen: Set<string>;
  readonly texts: string[];
};

function readNinja({ needs, watch, seen, texts }: NinjaReading, file: string): void {
  if (seen.has(file) || seen.size >= MOST_BUILD_FILES) return;
  seen.add(file);
  watch(file);
  const text = (readRaw(file, 128 << 20) ?? '').replace(/\$\r?\n\s*/g, ' ');
  texts.push(text);
  flagNeeds(text.replace(/\$([ :$])/g, '$1'), needs);
  for (const match of text.matchAll(/^\s*command\s*=\s*(.*)$/gm))
    shellNeeds((match[1] ?? '').replace(/\$[({]?\w+[)}]?/g, ''), needs);
  // CMake keeps custom commands in a variable of the build statement, meson too.
  for (const match of text.matchAll(/^\s*(?:COMMAND|CMD|ARGS)\s*=\s*(.*)$/gm))
    shellNeeds(match[1] ?? '', needs);
  for (const match of text.matchAll(/^(?:include|subninja)\s+(\S+)/gm))
    readNinja({ needs, watch, seen, texts }, absolute(match[1] ?? '', posix.dirname(file)));
}

function fromNinja(question: BuildQuestion, watch: Watch): BuildFileFacts {
  const needs = noNeeds();
  const file = absolute(question.files[0] ?? 'build.ninja', question.directory);
  const texts: string[] = [];
  readNinja({ needs, watch, seen: new Set(), texts }, file);
  return { needs, wildcard: false, unknownGoals: goalsWithoutMention(texts, question.goals) };
}

const compiled = /\.(c|cc|cp|cxx|cpp|c\+\+|C|m|mm|S|sx|cu|y|l|yy|ll)$/;

/** Sources by what the build files say: the same name, the same stem (foo.o is of foo.c), or all below a wildcard. */
function startsOf(
  index: ReadonlyMap<string, readonly string[]>,
  facts: BuildFileFacts,
  directory: string,
): string[] {
  const stems = new Set<string>();
  for (const word of facts.needs.words) {
    const name = posix.basename(word);
    stems.add(name);
    stems.add(name.replace(/\.[^.]*$/, ''));
  }
  const starts: string[] = [];
  for (const [name, paths] of index) {
    if (!compiled.test(name)) continue;
    const named = stems.has(name) || stems.has(name.replace(/\.[^.]*$/, ''));
    for (const path of paths)
      if (named || (facts.wildcard && isWithin(path, directory))) starts.push(path);
  }
  return starts;
}

export type BuildNeeds = { readonly needs: Needs; readonly c: boolean; readonly plusPlus: boolean };

/** A file of that name, or one with its stem that make's own rules could start from. */
function couldBeMade(directory: string, goal: string): boolean {
  const path = absolute(goal, directory);
  if (exists(path)) return true;
  const stem = posix.basename(goal).replace(/\.[^.]*$/, '');
  return namesIn(posix.dirname(path)).some((name) => name.replace(/(\.[^.]*|,v)$/, '') === stem);
}

export class BuildScanner {
  readonly #projects = new ProjectFiles();
  readonly #buildFiles = new StatCache<BuildFileFacts>(200);

  #factsOf(question: BuildQuestion): BuildFileFacts {
    const key = JSON.stringify([
      question.family,
      question.directory,
      question.files,
      question.goals,
      [...question.scope.given],
    ]);
    return this.#buildFiles.getSync(key, (watch) =>
      question.family === 'make' ? fromMake(question, watch) : fromNinja(question, watch),
    );
  }

  /** A goal of the command line that nothing makes; undefined when there is none, and in doubt. */
  unknownGoal(question: BuildQuestion): string | undefined {
    return this.#factsOf(question).unknownGoals.find(
      (goal) => !couldBeMade(question.directory, goal),
    );
  }

  /** Undefined when the project has more files than can be looked through. */
  async scan(question: BuildQuestion): Promise<BuildNeeds | undefined> {
    const facts = this.#factsOf(question);
    const index = await this.#projects.byName(question.root);
    if (index === undefined) return undefined;
    const starts = startsOf(index, facts, question.directory);
    const { headers, plusPlus } = await systemHeaders({
      files: this.#projects,
      index,
      starts,
      defined: facts.needs.defines,
    });
    const needs: Needs = { ...facts.needs, headers: new Set(headers) };
    return { needs, c: starts.length > 0, plusPlus };
  }

  /** Headers that all C sources below a folder need (a crate that compiles C). */
  async headersBelow(folder: string): Promise<BuildNeeds | undefined> {
    const index = await this.#projects.byName(folder);
    if (index === undefined) return undefined;
    const starts = [...index].flatMap(([name, paths]) => (compiled.test(name) ? paths : []));
    return this.headersOf(folder, starts, new Set());
  }

  /** Headers that these files need, for compilers called by themselves or by a build script. */
  async headersOf(
    root: string,
    starts: readonly string[],
    defined: ReadonlySet<string>,
  ): Promise<BuildNeeds | undefined> {
    const index = await this.#projects.byName(root);
    if (index === undefined) return undefined;
    const { headers, plusPlus } = await systemHeaders({
      files: this.#projects,
      index,
      starts,
      defined,
    });
    const needs: Needs = { ...noNeeds(), headers: new Set(headers), defines: new Set(defined) };
    return { needs, c: true, plusPlus };
  }
}
