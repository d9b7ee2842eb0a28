/** Plans make, ninja, cmake --build and meson compile. */
import { posix } from 'node:path';
import { fail, ok, type Failure, type Result } from '../../src/base/result.ts';
import { familyOf } from '../classify/family.ts';
import { filesOf } from '../classify/cmake.ts';
import { neverTarget } from '../classify/never-targets.ts';
import type { BuildToolFacts, Candidate } from '../classify/verdict.ts';
import type { BuildQuestion } from './build-needs.ts';
import { presetBuild } from './cmake-preset.ts';
import {
  attributeReason,
  descriptorReason,
  finish,
  needCpu,
  needTool,
  takeEnvironmentPaths,
  takeLinks,
  takeOutside,
  takeProject,
  takeWorkingFolder,
  withheldReason,
  wrapperReason,
  type Draft,
} from './draft.ts';
import { absolute, exists, isFile, isFolder, isSpecial, readRaw, realPath } from './files.ts';
import { addNeeds, shellNeeds } from './needs/needs.ts';
import type { Told } from './needs/told-project.ts';
import { scriptVariables } from './needs/variables.ts';
import { staleConfiguration } from './needs/stale.ts';
import { findProgram } from './path-search.ts';
import { projectOf } from './project.ts';
import { compilerNeeds } from './requirements.ts';
import { isSystem } from './system.ts';
import type { Plan } from './types.ts';

/** Source folders of a configured build folder, as CMake and Meson wrote them down. */
function sourceFolders(directory: string): string[] {
  const cache = readRaw(`${directory}/CMakeCache.txt`) ?? '';
  const cmake = [
    ...cache.matchAll(/^(?:CMAKE_HOME_DIRECTORY:INTERNAL|\w+_SOURCE_DIR:STATIC)=(.+)$/gm),
  ];
  const meson = readRaw(`${directory}/meson-info/meson-info.json`) ?? '';
  const source = /"source"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(meson)?.[1];
  const all = [...cmake.map((match) => match[1] ?? ''), ...(source === undefined ? [] : [source])];
  return [...new Set(all)].filter((path) => path.startsWith('/'));
}

/** The source tree of a build folder elsewhere is written to as well, by generators: its changes return too. */
function takeSources(draft: Draft, directory: string): Failure | undefined {
  for (const folder of sourceFolders(directory)) {
    if (draft.roots.writes(folder)) continue;
    const found = projectOf(folder, draft.home);
    if ('refused' in found) return { reason: found.refused };
    const no = draft.roots.project(found.root);
    if (no !== undefined) return no;
    // Sources are looked for where they are.
    draft.project = found.root;
  }
  return undefined;
}

function buildFamily(verdict: BuildToolFacts): 'make' | 'ninja' | undefined {
  if (verdict.family === 'make') return 'make';
  if (verdict.family === 'ninja' || isFile(`${verdict.directory}/build.ninja`)) return 'ninja';
  return isFile(`${verdict.directory}/Makefile`) ? 'make' : undefined;
}

/** A build file that is named and is not there, or the one that is looked for when nothing is named. */
function missingFile(verdict: BuildToolFacts): string | undefined {
  const { directory, family, files, targets } = verdict;
  if (family !== 'make' && family !== 'ninja') return undefined;
  const named = files.map((file) => absolute(file, directory)).find((file) => !exists(file));
  if (named !== undefined || files.length > 0) return named;
  if (family === 'ninja')
    return exists(`${directory}/build.ninja`) ? undefined : `${directory}/build.ninja`;
  // With a goal, make's own rules may do without a makefile.
  const usual = ['GNUmakefile', 'makefile', 'Makefile'].map((name) => `${directory}/${name}`);
  return targets.length > 0 || usual.some(exists) ? undefined : `${directory}/Makefile`;
}

/** The program that cmake or meson calls to build. */
function driver(draft: Draft, verdict: BuildToolFacts, family: 'make' | 'ninja'): string {
  const cache = readRaw(`${verdict.directory}/CMakeCache.txt`) ?? '';
  const named = /^CMAKE_MAKE_PROGRAM:\w+=(.+)$/m.exec(cache)?.[1];
  if (verdict.family === 'cmake' && named !== undefined) return named;
  if (verdict.family === 'meson')
    return (
      ['ninja', 'ninja-build', 'samu'].find(
        (name) => findProgram(name, draft.path) !== undefined,
      ) ?? 'ninja'
    );
  return family === verdict.family ? draft.request.real : family;
}

/** A script of the project: its interpreter, the variables it reads, and what it calls if a shell reads it. */
function takeScript({ needs, withheld }: Draft, path: string): void {
  const text = (readRaw(path, 1 << 20) ?? '').replace(/^\s*#(?!!).*$/gm, '');
  for (const name of scriptVariables(text, withheld)) needs.variables.add(name);
  const shebang = /^#!\s*(\S+)(?:[ \t]+(?:-S\s+)?(\S+))?/.exec(text);
  const named = shebang?.[1] ?? (/\.sh$/.test(path) ? '/bin/sh' : undefined);
  if (named === undefined) return;
  const interpreter = /\/env$/.test(named) ? (shebang?.[2] ?? named) : named;
  needs.programs.add(interpreter);
  if (/(^|\/)(ba|da|k)?sh$/.test(interpreter)) shellNeeds(text.replace(/(^|\s)#.*$/gm, ' '), needs);
}

/** Folders that commands go to, in each of which a script is looked for. */
const MOST_FOLDERS = 64;

/** Scripts of the project that the build runs, and those that they call. */
function takeScripts(draft: Draft, directory: string): void {
  const taken = new Set<string>();
  const folders = [...draft.needs.folders].slice(0, MOST_FOLDERS);
  const bases = [directory, ...folders.map((folder) => absolute(folder, directory))];
  // What a script calls joins the others while they are gone through.
  for (const name of draft.needs.scripts)
    for (const path of new Set(bases.map((base) => absolute(name, base)))) {
      if (taken.has(path) || !draft.roots.holds(path) || !isFile(path)) continue;
      taken.add(path);
      takeScript(draft, path);
    }
}

function takePaths(draft: Draft): Failure | undefined {
  for (const path of draft.needs.paths) {
    if (isSystem(path) || draft.roots.holds(path) || !exists(path)) continue;
    // The job has temporary folders and a home of its own.
    if (/^\/(dev|proc|sys|run)(\/|$)|^\/(tmp|var\/tmp)\/?$/.test(path) || path === draft.home)
      continue;
    const place = draft.roots.reads(path);
    if (!place.ok) return place.failure;
  }
  return undefined;
}

function takeTools(
  draft: Draft,
  verdict: BuildToolFacts,
  family: 'make' | 'ninja',
): Failure | undefined {
  // A tool that is a script (meson) says its version by way of its interpreter: that works there too.
  return needTool(draft, draft.request.real) ?? needTool(draft, driver(draft, verdict, family));
}

/** What adds to an object store, or reads old trees and files, of which a stand-in has none. */
const wholeStore =
  /^(am|annotate|bisect|blame|bundle|checkout|cherry-pick|clone|commit|commit-tree|fast-export|fetch|filter-branch|format-patch|fsck|gc|hash-object|merge|mktag|mktree|notes|pull|push|range-diff|read-tree|rebase|repack|reset|restore|revert|send-pack|stash|submodule|subtree|switch|worktree|write-tree)$/;

function historyRefusal(draft: Draft): Failure | undefined {
  const command = [...draft.needs.gitCommands].find((each) => wholeStore.test(each));
  if (!draft.roots.lacksHistory || command === undefined) return undefined;
  return {
    reason: `the build calls git ${command}, and git's history is too large to be carried`,
    next: 'raise transfer.max_git_size_mb',
  };
}

/** A shim named by its path (in a Makefile, a CMakeCache) means its tool: on a worker that path leads to it. */
function meanTools({ needs, request: { shimDir } }: Draft): void {
  for (const name of [...needs.programs].filter((each) => each.startsWith(`${shimDir}/`))) {
    needs.programs.delete(name);
    needs.programs.add(posix.basename(name));
  }
  for (const path of needs.paths) if (path.startsWith(`${shimDir}/`)) needs.paths.delete(path);
}

/** The build files named; that of a configuration of CMake's is there where there are several. */
function buildFiles({ family, files, directory }: BuildToolFacts): readonly string[] {
  return family === 'cmake' ? files.filter((file) => isFile(absolute(file, directory))) : files;
}

async function takeNeeds(
  draft: Draft,
  verdict: BuildToolFacts,
  family: 'make' | 'ninja',
): Promise<Failure | undefined> {
  const { needs, context, request } = draft;
  const question: BuildQuestion = {
    family,
    directory: verdict.directory,
    root: draft.project,
    files: buildFiles(verdict),
    goals: verdict.targets,
    scope: { given: verdict.variables, environment: request.env },
    withheld: draft.withheld,
  };
  const unknown = context.scanner.unknownGoal(question);
  if (unknown !== undefined)
    return { reason: `nothing makes ${unknown}: the message of this machine is right` };
  const { look } = context;
  const root = draft.roots.planned().find(({ path }) => path === draft.project);
  const looker =
    look === undefined || root?.policy !== 'project' || root.only.length > 0
      ? undefined
      : (last: string): Promise<Told | undefined> => look(root, last);
  const found = await context.scanner.scan(question, looker);
  if (found === undefined) return { reason: 'the project has too many files to look for headers' };
  addNeeds(needs, found.needs);
  // make and ninja have their commands read by it, whatever it is here.
  needs.programs.add('/bin/sh');
  meanTools(draft);
  takeScripts(draft, verdict.directory);
  const kept =
    withheldReason(draft, verdict.variables) ?? descriptorReason(draft) ?? historyRefusal(draft);
  if (kept !== undefined) return kept;
  const compilers = [...needs.programs].filter((name) => familyOf(name) === 'compiler');
  if (found.c || compilers.length > 0) {
    const defaults = family === 'make' ? ['cc', ...(found.plusPlus ? ['g++'] : [])] : [];
    compilerNeeds(needs, compilers.length > 0 ? compilers : defaults, found.plusPlus, draft.path);
  }
  // `sccache cc …`, as meson and CMake's launchers have it: its server would build in this machine's tree.
  for (const name of needs.programs) {
    const path = name.includes('/') ? name : (findProgram(name, draft.path) ?? name);
    const reason = wrapperReason(path) ?? attributeReason(path);
    if (reason !== undefined) return { reason };
  }
  for (const name of compilers) {
    const no = needTool(
      draft,
      name.startsWith('/') ? name : (findProgram(name, draft.path) ?? name),
    );
    if (no !== undefined) return no;
  }
  // A recipe, a test or a generator may run what was built.
  needCpu(draft, { flags: needs.cpu, runs: true });
  return (
    takePaths(draft) ??
    takeOutside(draft) ??
    takeLinks(draft, [draft.project, verdict.directory], true) ??
    takeEnvironmentPaths(draft)
  );
}

/** The name by which the command goes to its folder, where that is a symlink. */
function takeNamed(draft: Draft, directory: string): Failure | undefined {
  const place = draft.roots.reads(directory);
  return place.ok ? undefined : place.failure;
}

/** The command as if it named what its preset says. */
function withoutPreset(facts: BuildToolFacts): Result<BuildToolFacts> {
  if (facts.preset === undefined) return ok(facts);
  const build = presetBuild(realPath(facts.directory) ?? facts.directory, facts.preset);
  if (!build.ok) return build;
  const { directory, targets, configuration, folders } = build.value;
  const never = neverTarget('cmake --build', targets);
  if (never !== undefined) return fail(never.reason);
  return ok({
    ...facts,
    directory,
    files: facts.files.length > 0 ? facts.files : filesOf(configuration),
    folders,
    targets: facts.targets.length > 0 ? facts.targets : targets,
  });
}

export async function planBuild(
  draft: Draft,
  facts: Candidate & BuildToolFacts,
): Promise<Result<Plan>> {
  const known = withoutPreset(facts);
  if (!known.ok) return known;
  const named = known.value;
  if (!isFolder(named.directory))
    return fail(`${named.directory} is not a folder: its own message is right`);
  // As the tool, which goes there and then asks where it is.
  const directory = realPath(named.directory) ?? named.directory;
  const verdict = { ...named, directory };
  const absent = missingFile(verdict);
  if (absent !== undefined)
    return fail(`${absent} is not there: the message of this machine is right`);
  const special = verdict.files.map((file) => absolute(file, directory)).find(isSpecial);
  if (special !== undefined) return fail(`${special} can be read but once, and by the tool itself`);
  const family = buildFamily(verdict);
  if (family === undefined) return fail(`${directory} holds no build that could be read`);
  const stale = staleConfiguration(directory);
  if (stale !== undefined)
    return fail(
      `${posix.basename(stale)} changed: the build would configure anew, which looks at this machine`,
    );
  const folders = [
    ...verdict.files.map((file) => posix.dirname(absolute(file, directory))),
    ...verdict.folders,
  ];
  const no =
    takeProject(draft, directory) ??
    takeNamed(draft, named.directory) ??
    takeSources(draft, directory) ??
    takeWorkingFolder(draft) ??
    folders
      .map((folder) => absolute(folder, directory))
      .filter(isFolder)
      .map((folder) => draft.roots.reads(folder))
      .find((place) => !place.ok)?.failure ??
    takeTools(draft, verdict, family) ??
    (await takeNeeds(draft, verdict, family));
  return no === undefined ? finish(draft) : fail(no.reason, no.next);
}
