/** Plans a single call of gcc, clang or rustc. */
import { posix } from 'node:path';
import { fail, ok, type Failure, type Result } from '../../src/base/result.ts';
import { classify } from '../classify/classify.ts';
import { responseWords } from '../classify/response-file.ts';
import type { Candidate, CompilerFacts, RustcFacts } from '../classify/verdict.ts';
import {
  finish,
  needTool,
  takeProject,
  takeWorkingFolder,
  wrapperReason,
  type Draft,
} from './draft.ts';
import { absolute, exists, isFile, isFolder, readRaw, realPath, sizeOf } from './files.ts';
import { flagNeeds } from './needs/needs.ts';
import { findProgram } from './path-search.ts';
import { compilerNeeds } from './requirements.ts';
import { isSystem } from './system.ts';
import { takeToolchain } from './toolchain.ts';
import type { Plan } from './types.ts';

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

/** The same call with its @files read. */
function expanded(draft: Draft, facts: CompilerFacts): Result<CompilerFacts> {
  if (facts.responseFiles.length === 0) return ok(facts);
  const { request } = draft;
  const read: string[] = [];
  const argv = [request.argv[0] ?? '', ...expandWords(request.argv.slice(1), request.cwd, read)];
  const verdict = classify({ ...request, argv });
  if (verdict.kind === 'local') return fail(verdict.reason);
  if (verdict.family !== 'compiler' || verdict.responseFiles.length > 0)
    return fail('an @file of the command line cannot be read');
  return ok({ ...verdict, inputs: [...verdict.inputs, ...read] });
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
    const place = roots.reads(path);
    if (!place.ok) return place.failure;
    if (place.value === 'system') needs.paths.add(path);
  }
  for (const output of facts.outputs) {
    const path = absolute(output, request.cwd);
    if (path === '/dev/null') continue;
    const folder = realPath(posix.dirname(path)) ?? posix.dirname(path);
    if (
      !roots.writes(folder) ||
      ((realPath(path) ?? path) !== path && !roots.writes(realPath(path) ?? path))
    )
      return { reason: `${path} would be written, which lies outside the project` };
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

/** All that the call writes, at the paths it really writes them; undefined where that is not known. */
function ownOutputs(draft: Draft, facts: CompilerFacts): string[] | undefined {
  const paths = facts.own?.map((each) => absolute(each, draft.request.cwd));
  return paths
    ?.filter((path) => path !== '/dev/null')
    .map((path) => {
      const folder = posix.dirname(path);
      return realPath(path) ?? posix.join(realPath(folder) ?? folder, posix.basename(path));
    });
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

async function headers(draft: Draft, facts: CompilerFacts): Promise<Failure | undefined> {
  const { request, context, needs } = draft;
  flagNeeds(request.argv.slice(1).join('\n'), needs);
  // Only -D and -l were wanted from the words; paths were judged one by one.
  for (const path of needs.paths) if (!isSystem(path)) needs.paths.delete(path);
  const starts = facts.inputs
    .map((each) => absolute(each, request.cwd))
    .filter((path) => !isSystem(path) && !/\.(o|a|so|lo|la)(\.\d+)*$/.test(path) && isFile(path));
  const found = await context.scanner.headersOf(draft.project, starts, needs.defines);
  if (found === undefined) return { reason: 'the project has too many files to look for headers' };
  for (const name of found.needs.headers) needs.headers.add(name);
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
  const facts = call.value;
  const no =
    takeRoot(draft, [...facts.outputs, ...facts.inputs]) ??
    takeFiles(draft, facts) ??
    takeWorkingFolder(draft) ??
    takeLinker(draft, facts.linker) ??
    (await headers(draft, facts));
  if (no !== undefined) return fail(no.reason, no.next);
  if (facts.nativeCpu)
    draft.requirements.push({ kind: 'cpu', why: 'the call compiles for the native CPU' });
  draft.tooSmall = tooSmall(draft, facts);
  draft.outputs = ownOutputs(draft, facts);
  return finish(draft);
}

export async function planRustc(
  draft: Draft,
  verdict: Candidate & RustcFacts,
): Promise<Result<Plan>> {
  const no =
    takeRoot(draft, [...verdict.outputs, ...verdict.inputs]) ??
    takeFiles(draft, verdict) ??
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
