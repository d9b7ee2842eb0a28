/** Plans a single call of gcc, clang or rustc. */
import { posix } from 'node:path';
import { fail, ok, type Failure, type Result } from '../../src/base/result.ts';
import { classify } from '../classify/classify.ts';
import { responseWords } from '../classify/response-file.ts';
import type { Candidate, CompilerFacts, RustcFacts } from '../classify/verdict.ts';
import {
  finish,
  needTool,
  takeLinks,
  takeOutside,
  takeProject,
  takeWorkingFolder,
  wrapperReason,
  type Draft,
} from './draft.ts';
import {
  absolute,
  destination,
  exists,
  isFile,
  isFolder,
  isSpecial,
  readRaw,
  realPath,
  sizeOf,
} from './files.ts';
import { mayBeScript, pathsOfScripts } from './linker-scripts.ts';
import { flagNeeds } from './needs/needs.ts';
import { outwardPaths } from './needs/outward.ts';
import { pathsIn, readingFlags } from './needs/value-paths.ts';
import { findProgram } from './path-search.ts';
import { compilerNeeds } from './requirements.ts';
import { isSystem, isVirtual, refusedRoot } from './system.ts';
import { takeToolchain } from './toolchain.ts';
import type { Plan } from './types.ts';

const NO_FILE = 'is a FIFO, a socket or a device of this machine';

/** Bytes of C sources below which a call without optimisation is over before a worker has begun. */
const SMALL = 4096;

/** `-Wl,A,@B` word by word; each goes to the linker, which reads the @file as the compiler would. */
function linkerWords(word: string): string[] {
  return word
    .slice('-Wl,'.length)
    .split(',')
    .flatMap((part) => (part.startsWith('@') ? [part] : ['-Xlinker', part]));
}

/** The words of argv with @files replaced by what they hold; an @file that is not there stands for itself. */
function expandWords(words: readonly string[], cwd: string, read: string[], depth = 0): string[] {
  return words.flatMap((word) => {
    if (word.startsWith('-Wl,') && word.includes(',@'))
      return expandWords(linkerWords(word), cwd, read, depth + 1);
    const file = word.startsWith('@') ? absolute(word.slice(1), cwd) : undefined;
    const text = file === undefined || depth > 10 ? undefined : readRaw(file);
    if (text === undefined || file === undefined) return [word];
    read.push(file);
    return expandWords(responseWords(text), cwd, read, depth + 1);
  });
}

type Call = { readonly facts: CompilerFacts; readonly words: readonly string[] };

/** The call with its @files read. */
function expanded(draft: Draft, facts: CompilerFacts): Result<Call> {
  const { request } = draft;
  if (facts.responseFiles.length === 0) return ok({ facts, words: request.argv.slice(1) });
  const read: string[] = [];
  const argv = [request.argv[0] ?? '', ...expandWords(request.argv.slice(1), request.cwd, read)];
  const verdict = classify({ ...request, argv });
  if (verdict.kind === 'local') return fail(verdict.reason);
  if (verdict.family !== 'compiler' || verdict.responseFiles.length > 0)
    return fail('an @file of the command line cannot be read');
  return ok({
    facts: { ...verdict, inputs: [...verdict.inputs, ...read] },
    words: argv.slice(1),
  });
}

/** The root: around the working folder, else around the first output or input. */
function takeRoot(draft: Draft, named: readonly string[]): Failure | undefined {
  const { request } = draft;
  const first = takeProject(draft, request.cwd);
  if (first === undefined) return undefined;
  for (const path of named) {
    const folder = posix.dirname(absolute(path, request.cwd));
    if (!isSystem(folder) && isFolder(folder) && takeProject(draft, folder) === undefined)
      return undefined;
  }
  return first;
}

function takeFiles(draft: Draft, facts: CompilerFacts | RustcFacts): Failure | undefined {
  const { request, roots, needs } = draft;
  for (const input of facts.inputs) {
    const path = absolute(input, request.cwd);
    if (path === '/dev/null') continue;
    if (!exists(path))
      return { reason: `${path} is not there: the message of this machine is right` };
    if (isSpecial(path)) return { reason: `${path} ${NO_FILE}` };
    const place = roots.reads(path);
    if (!place.ok) return place.failure;
    if (place.value === 'system') needs.paths.add(path);
  }
  for (const output of facts.outputs) {
    const path = absolute(output, request.cwd);
    if (path === '/dev/null') continue;
    const folder = realPath(posix.dirname(path)) ?? posix.dirname(path);
    if (!roots.writes(folder) || !roots.writes(destination(path)))
      return { reason: `${path} would be written, which lies outside the project` };
    if (isSpecial(path)) return { reason: `${path} ${NO_FILE}` };
  }
  for (const folder of facts.folders) {
    const path = absolute(folder, request.cwd);
    // A folder that is missing is passed over by the compiler, here as there.
    if (!isFolder(path)) continue;
    const place = roots.reads(path);
    if (!place.ok) return place.failure;
    if (place.value === 'system') needs.paths.add(path);
  }
  for (const name of facts.libraries) needs.libraries.add(name.replace(/^:lib|\.(so|a)$/g, ''));
  return undefined;
}

/** A path in a word that stands by itself, or is joined to a flag, or follows `=`, `,` or `:`. */
const pathInWord = /(?:^|^-[A-Za-z]+|[=,:])(\.{0,2}\/[^=,:]+)/g;

/**
 * What a word that is not understood names outside of what the worker is given; what is there and carried may be read, and
 * what lies where nothing is here is missing there too.
 */
function strayPath({ request, roots }: Draft, word: string): string | undefined {
  return [...word.matchAll(pathInWord)]
    .map(([, named = '']) => absolute(named, request.cwd))
    .filter((path) => exists(path) || exists(posix.dirname(path)))
    .find((path) => {
      const real = destination(path);
      if (isVirtual(path) || isSystem(real) || roots.writes(real)) return false;
      return !(roots.holds(real) && exists(path));
    });
}

function takeOthers(draft: Draft, facts: CompilerFacts): Failure | undefined {
  for (const word of facts.others) {
    const path = strayPath(draft, word);
    if (path !== undefined)
      return { reason: `${path} may be read or written, which lies outside the project` };
  }
  return undefined;
}

/** All that the call writes, at the paths it really writes them; undefined where that is not known. */
function ownOutputs(draft: Draft, facts: CompilerFacts): string[] | undefined {
  const paths = facts.own?.map((each) => absolute(each, draft.request.cwd));
  return paths?.filter((path) => path !== '/dev/null').map(destination);
}

function tooSmall(draft: Draft, facts: CompilerFacts): string | undefined {
  if (draft.tooSmall !== undefined || facts.language !== 'c' || draft.verdict.estimateMs > 400)
    return draft.tooSmall;
  const bytes = facts.inputs.reduce(
    (sum, each) => sum + sizeOf(absolute(each, draft.request.cwd)),
    0,
  );
  return bytes < SMALL ? `${bytes} bytes of C are too little to gain` : undefined;
}

/** What -D may make a source include, and what linker scripts name; both are looked for in `folders`. */
function takeNamed(draft: Draft, { facts, words }: Call, folders: readonly string[]): void {
  const { request, project: root, needs } = draft;
  const values = words.filter((word, at) => word.startsWith('-D') || words[at - 1] === '-D');
  const inputs = facts.inputs.map((each) => absolute(each, request.cwd));
  const bases = [...folders, ...inputs.map((path) => posix.dirname(path))];
  for (const path of outwardPaths(values.join('\n'), bases, root)) needs.outside.add(path);
  if (!facts.links) return;
  const scripts = inputs.filter(mayBeScript);
  for (const path of pathsOfScripts(scripts, { folders, root })) needs.outside.add(path);
}

async function headers(draft: Draft, call: Call): Promise<Failure | undefined> {
  const { request, context, needs } = draft;
  const { facts, words } = call;
  flagNeeds(words.join('\n'), needs);
  // Only -D and -l were wanted from the words; paths were judged one by one.
  for (const path of needs.paths) if (!isSystem(path)) needs.paths.delete(path);
  const folders = ['', ...facts.folders].map((each) => absolute(each, request.cwd));
  takeNamed(draft, call, folders);
  const starts = facts.inputs
    .map((each) => absolute(each, request.cwd))
    .filter((path) => !isSystem(path) && !/\.(o|a|so|lo|la)(\.\d+)*$/.test(path) && isFile(path));
  const found = await context.scanner.headersOf(draft.project, starts, {
    defined: needs.defines,
    folders,
  });
  if (found === undefined) return { reason: 'the project has too many files to look for headers' };
  for (const name of found.needs.headers) needs.headers.add(name);
  for (const path of found.needs.outside) needs.outside.add(path);
  const beside =
    takeOutside(draft) ??
    takeLinks(
      draft,
      starts.map((path) => posix.dirname(path)),
      false,
    );
  if (beside !== undefined) return beside;
  const plusPlus = facts.language === 'c++' || found.plusPlus;
  compilerNeeds(needs, [request.real], plusPlus, draft.path);
  return undefined;
}

function takeLinker(draft: Draft, linker: string | undefined): Failure | undefined {
  if (linker === undefined) return undefined;
  if (linker.includes('/')) return needTool(draft, absolute(linker, draft.request.cwd));
  const program = [`ld.${linker}`, linker].find(
    (name) => findProgram(name, draft.path) !== undefined,
  );
  return needTool(draft, program ?? `ld.${linker}`);
}

export async function planCompiler(
  draft: Draft,
  verdict: Candidate & CompilerFacts,
): Promise<Result<Plan>> {
  const { request } = draft;
  const wrapped = wrapperReason(request.real);
  if (wrapped !== undefined) return fail(wrapped);
  const call = expanded(draft, verdict);
  if (!call.ok) return call;
  const { facts } = call.value;
  const no =
    takeRoot(draft, [...facts.outputs, ...facts.inputs]) ??
    takeFiles(draft, facts) ??
    takeWorkingFolder(draft) ??
    takeOthers(draft, facts) ??
    takeLinker(draft, facts.linker) ??
    (await headers(draft, call.value));
  if (no !== undefined) return fail(no.reason, no.next);
  if (facts.nativeCpu)
    draft.requirements.push({ kind: 'cpu', why: 'the call compiles for the native CPU' });
  draft.tooSmall = tooSmall(draft, facts);
  draft.outputs = ownOutputs(draft, facts);
  return finish(draft);
}

/** Objects, profiles and linker scripts that flags name: `-C link-arg=/x/y.o`, `-C profile-use=/x`. */
function takeRustFlags(draft: Draft): Failure | undefined {
  const { argv, cwd } = draft.request;
  for (const path of pathsIn(readingFlags(argv.slice(1).join(' ')), [cwd]))
    if (refusedRoot(path, draft.home) === undefined) draft.needs.outside.add(path);
  return takeOutside(draft);
}

export async function planRustc(
  draft: Draft,
  verdict: Candidate & RustcFacts,
): Promise<Result<Plan>> {
  const no =
    takeRoot(draft, [...verdict.outputs, ...verdict.inputs]) ??
    takeFiles(draft, verdict) ??
    takeRustFlags(draft) ??
    takeWorkingFolder(draft) ??
    takeToolchain(draft, {
      plus: verdict.toolchain,
      subcommand: 'rustc',
      targets: verdict.targets,
    });
  if (no !== undefined) return fail(no.reason, no.next);
  const flags = `${draft.request.argv.join(' ')} `;
  if (verdict.links) {
    const linker = verdict.linker ?? 'cc';
    const tool = needTool(draft, linker);
    if (tool !== undefined) return fail(tool.reason, tool.next);
    compilerNeeds(draft.needs, [linker], false, draft.path);
    const other = takeLinker(draft, /-fuse-ld=([\w./-]+)/.exec(flags)?.[1]);
    if (other !== undefined) return fail(other.reason, other.next);
  }
  if (verdict.nativeCpu)
    draft.requirements.push({ kind: 'cpu', why: 'the call compiles for the native CPU' });
  return finish(draft);
}
