/** What a build by make, ninja, cmake or meson wants of the system: from its build files and the sources they speak of. */
import { posix } from 'node:path';
import { keep } from '../../src/base/bounded.ts';
import { StatCache, type Watch } from './stat-cache.ts';
import { absolute, exists, isFile, isWithin, namesIn, readRaw } from './files.ts';
import { pathsOfScripts, scriptsIn } from './linker-scripts.ts';
import type { SourceFacts } from './needs/c-source.ts';
import { systemHeaders, type IncludeAnswer, type IncludeQuestion } from './needs/includes.ts';
import { AskedEnvironment } from './needs/asked-environment.ts';
import { implicitRules, takeImplicit, type ImplicitRule } from './needs/implicit.ts';
import { expand } from './needs/make-expand.ts';
import { mergedVariables, type Scope } from './needs/make-variables.ts';
import { makeNeeds } from './needs/make-needs.ts';
import { parseMakefile, type Makefile } from './needs/makefile.ts';
import { goalsWithoutMention, goalsWithoutRule } from './needs/goals.ts';
import { addNeeds, flagNeeds, noNeeds, shellNeeds, type Needs } from './needs/needs.ts';
import { enteredPaths, leadsOut, outwardPaths } from './needs/outward.ts';
import { reachedTexts } from './needs/ninja-reach.ts';
import { ninjaVariables, shellVariables } from './needs/variables.ts';
import { ProjectFiles } from './needs/project-files.ts';
import { ToldProject, type Told } from './needs/told-project.ts';

export type BuildQuestion = {
  readonly family: 'make' | 'ninja';
  readonly directory: string;
  /** The root within which sources are looked for. */
  readonly root: string;
  readonly files: readonly string[];
  readonly goals: readonly string[];
  readonly scope: Scope;
  /** Names of the environment that no worker is given. */
  readonly withheld: ReadonlySet<string>;
};

/** From the build files alone. */
export type BuildFileFacts = {
  readonly needs: Needs;
  readonly wildcard: boolean;
  readonly implicit: readonly ImplicitRule[];
  /** Goals that the build files do not speak of. */
  readonly unknownGoals: readonly string[];
};

const MOST_BUILD_FILES = 3000;
/** Folders of makefiles from each of which an expanded variable may lead out; of more it is taken from where it stands. */
const MOST_BASES = 16;
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
  for (const list of makefile.includes) {
    const names = expand(list, variables, reading.question.scope);
    shellVariables(names, reading.extra);
    for (const name of names.split(/\s+/))
      if (name !== '' && isFile(absolute(name, folder)))
        readMakefile(reading, absolute(name, folder));
      else if (name !== '' && !dependencyFile.test(name)) reading.open = true;
  }
  const bases = [folder, reading.question.directory];
  const said = text.replace(/(^|\s)#.*$/gm, '$1');
  for (const path of outwardPaths(said, bases, reading.question.root))
    reading.extra.outside.add(path);
  for (const path of enteredPaths(said, bases, reading.question.root))
    reading.extra.entered.add(path);
  takeScripts(reading, said, bases);
  const words = new Set(text.match(/[\w.+@/-]+/g) ?? []);
  for (const word of words) {
    if (flagFile.test(word)) readFlags(reading, absolute(word, reading.question.directory));
    else if (makefileName.test(word) && !word.endsWith('.d'))
      for (const base of bases)
        if (isFile(absolute(word, base))) readMakefile(reading, absolute(word, base));
  }
  for (const below of subfolders(folder, words))
    if (isWithin(below, reading.question.root)) readMakefile(reading, below);
}

/** What the linker scripts name that `text` speaks of. */
function takeScripts(
  { extra, question, watch }: Pick<Reading, 'extra' | 'question' | 'watch'>,
  text: string,
  bases: readonly string[],
): void {
  const look = { folders: bases, root: question.root, watch };
  for (const path of pathsOfScripts(scriptsIn(text, bases), look)) extra.outside.add(path);
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
  const found = makeNeeds(reading.makefiles, question.goals, question.scope);
  addNeeds(found.needs, reading.extra);
  // What variables came to, and what the command line says.
  const { directory, root } = question;
  const expanded = [...found.needs.words, ...question.scope.given.values()].join(' ');
  const folders = new Set([...reading.seen].map((file) => posix.dirname(file)));
  const bases = [directory, ...(folders.size > MOST_BASES ? [] : folders)];
  for (const path of outwardPaths(expanded, bases, root)) found.needs.outside.add(path);
  const unknownGoals = reading.open
    ? []
    : goalsWithoutRule(reading.makefiles, question.goals, question.scope);
  return { ...found, implicit: implicitRules(reading.makefiles, question.scope), unknownGoals };
}

type NinjaReading = {
  readonly watch: Watch;
  /** Where ninja works, from which all paths are. */
  readonly directory: string;
  /** By the files' paths. */
  readonly texts: Map<string, string>;
};

function readNinja(reading: NinjaReading, file: string): void {
  const { watch, directory, texts } = reading;
  if (texts.has(file) || texts.size >= MOST_BUILD_FILES) return;
  watch(file);
  const text = (readRaw(file, 128 << 20) ?? '').replaceAll('\r\n', '\n').replace(/\$\n\s*/g, ' ');
  texts.set(file, text);
  for (const match of text.matchAll(/^(?:include|subninja)\s+(\S+)/gm))
    readNinja(reading, absolute(match[1] ?? '', directory));
}

function takeNinja(text: string, needs: Needs): void {
  ninjaVariables(text, needs);
  flagNeeds(text.replace(/\$([ :$])/g, '$1'), needs);
  for (const match of text.matchAll(/^\s*command\s*=\s*(.*)$/gm))
    shellNeeds((match[1] ?? '').replace(/\$[({]?\w+[)}]?/g, ''), needs);
  // CMake keeps custom commands in a variable of the build statement, meson too.
  for (const match of text.matchAll(/^\s*(?:COMMAND|CMD|ARGS)\s*=\s*(.*)$/gm))
    shellNeeds(match[1] ?? '', needs);
}

function fromNinja(question: BuildQuestion, watch: Watch): BuildFileFacts {
  const needs = noNeeds();
  const file = absolute(question.files[0] ?? 'build.ninja', question.directory);
  const files = new Map<string, string>();
  readNinja({ watch, directory: question.directory, texts: files }, file);
  const texts = [...files.values()];
  const bases = [question.directory];
  for (const text of reachedTexts(texts, question.goals)) {
    takeNinja(text, needs);
    for (const path of outwardPaths(text, bases, question.root)) needs.outside.add(path);
    takeScripts({ extra: needs, question, watch }, text, bases);
  }
  const unknownGoals = goalsWithoutMention(texts, question.goals);
  return { needs, wildcard: false, implicit: [], unknownGoals };
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

function withImplicit({ needs, implicit }: BuildFileFacts, starts: readonly string[]): Needs {
  if (implicit.length === 0) return needs;
  const all = noNeeds();
  addNeeds(all, needs);
  takeImplicit(all, implicit, starts);
  return all;
}

const outsideOf = (paths: ReadonlySet<string>, root: string): string[] =>
  [...paths].filter((path) => leadsOut(path, root));

export type BuildNeeds = { readonly needs: Needs; readonly c: boolean; readonly plusPlus: boolean };

/** Asks a link to look at the question's root; `last` names the look to go on from. Undefined: nobody looked. */
export type Looker = (last: string) => Promise<Told | undefined>;

/** Sources from which a link's look costs less than to stat each of them here. */
const WORTH_A_LOOK = 300;
/** Projects and answers kept. */
const MOST_TOLD = 8;
const MOST_ANSWERS = 50;
/** Questions whose build files are remembered. */
const MOST_BUILDS = 200;

/** What a question came to while the project was at `version`. */
type Answered = {
  readonly facts: BuildFileFacts;
  readonly told: ToldProject;
  readonly version: number;
  readonly answer: BuildNeeds;
};

/** A file of that name, or one with its stem that make's own rules could start from. */
function couldBeMade(directory: string, goal: string): boolean {
  const path = absolute(goal, directory);
  if (exists(path)) return true;
  const stem = posix.basename(goal).replace(/\.[^.]*$/, '');
  return namesIn(posix.dirname(path)).some((name) => name.replace(/(\.[^.]*|,v)$/, '') === stem);
}

export class BuildScanner {
  readonly #projects = new ProjectFiles();
  readonly #buildFiles = new StatCache<BuildFileFacts>(MOST_BUILDS);
  /** How many sources a root's builds spoke of when they were last asked about. */
  readonly #sizes = new Map<string, number>();
  readonly #told = new Map<string, ToldProject>();
  readonly #answers = new Map<string, Answered>();
  /** Names of the environment that the build files of a question ask for. */
  readonly #asked = new Map<string, ReadonlySet<string>>();

  /** By what they are remembered, and what the build files say. */
  #factsOf(question: BuildQuestion): readonly [string, BuildFileFacts] {
    const { given, environment } = question.scope;
    const { family, directory, files, goals, withheld } = question;
    const base = JSON.stringify([family, directory, files, goals, [...given]]);
    const asking = new AskedEnvironment(environment, withheld, this.#asked.get(base));
    const key = (): string => `${base}${asking.answers()}`;
    const asked = { ...question, scope: { given, environment: asking } };
    const facts = this.#buildFiles.getSync(
      key(),
      (watch) => (family === 'make' ? fromMake(asked, watch) : fromNinja(asked, watch)),
      key,
    );
    keep(this.#asked, MOST_BUILDS, base, asking.asked);
    return [key(), facts];
  }

  /** A goal of the command line that nothing makes; undefined when there is none, and in doubt. */
  unknownGoal(question: BuildQuestion): string | undefined {
    return this.#factsOf(question)[1].unknownGoals.find(
      (goal) => !couldBeMade(question.directory, goal),
    );
  }

  /** Undefined when the project has more files than can be looked through. */
  async scan(question: BuildQuestion, look?: Looker): Promise<BuildNeeds | undefined> {
    const [key, facts] = this.#factsOf(question);
    const told = await this.#lookAt(question.root, look);
    const known = this.#answers.get(key);
    if (known !== undefined && known.told === told && known.facts === facts)
      if (known.version === told.version) return known.answer;
    const index = told?.index ?? (await this.#projects.byName(question.root));
    if (index === undefined) return undefined;
    const starts = startsOf(index, facts, question.directory);
    keep(this.#sizes, MOST_ANSWERS, question.root, starts.length);
    const version = told?.version ?? 0;
    const wanted = withImplicit(facts, starts);
    const { headers, plusPlus, outward, sure } = await this.#headers(
      { index, starts, defined: wanted.defines, folders: [question.directory, question.root] },
      told,
    );
    const outside = outsideOf(outward, question.root);
    const needs: Needs = {
      ...wanted,
      headers: new Set(headers),
      outside: new Set([...wanted.outside, ...outside]),
    };
    const answer = { needs, c: starts.length > 0, plusPlus };
    if (told !== undefined && sure)
      keep(this.#answers, MOST_ANSWERS, key, { facts, told, version, answer });
    return answer;
  }

  /** The project as a look that began after the question tells it; undefined where its files are looked at here. */
  async #lookAt(root: string, look: Looker | undefined): Promise<ToldProject | undefined> {
    if (look === undefined || (this.#sizes.get(root) ?? 0) < WORTH_A_LOOK) return undefined;
    const project = this.#told.get(root) ?? new ToldProject(root);
    const news = await look(project.look);
    if (news === undefined) return undefined;
    project.take(news);
    keep(this.#told, MOST_TOLD, root, project);
    return project;
  }

  /** `sure`: everything was read from what `told` will tell the changes of. */
  async #headers(
    of: Omit<IncludeQuestion, 'files'>,
    told?: ToldProject,
  ): Promise<IncludeAnswer & { readonly sure: boolean }> {
    let sure = told?.hasLinks === false;
    const files = {
      facts: (path: string): SourceFacts => {
        const facts = this.#projects.facts(path, told);
        sure &&= told?.factsOf(path) !== undefined;
        return facts;
      },
      breathe: (count: number): Promise<void> => this.#projects.breathe(count),
    };
    const answer = await systemHeaders({ ...of, files });
    return { ...answer, sure };
  }

  /** Headers that all C sources below a folder need (a crate that compiles C). */
  async headersBelow(folder: string): Promise<BuildNeeds | undefined> {
    const index = await this.#projects.byName(folder);
    if (index === undefined) return undefined;
    const starts = [...index].flatMap(([name, paths]) => (compiled.test(name) ? paths : []));
    return this.headersOf(folder, starts, { defined: new Set(), folders: [] });
  }

  /** Headers that these files need, for compilers called by themselves or by a build script; `folders` are those of -I. */
  async headersOf(
    root: string,
    starts: readonly string[],
    { defined, folders }: Pick<IncludeQuestion, 'defined' | 'folders'>,
  ): Promise<BuildNeeds | undefined> {
    const index = await this.#projects.byName(root);
    if (index === undefined) return undefined;
    const { headers, plusPlus, outward } = await this.#headers({ index, starts, defined, folders });
    const needs: Needs = {
      ...noNeeds(),
      headers: new Set(headers),
      outside: new Set(outsideOf(outward, root)),
      defines: new Set(defined),
    };
    return { needs, c: true, plusPlus };
  }
}
