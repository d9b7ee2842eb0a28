/** What every kind of plan gathers, and how it becomes a Plan. */
import { posix } from 'node:path';
import { fail, ok, type Failure, type Result } from '../../src/base/result.ts';
import type { Request } from '../classify/request.ts';
import type { Candidate } from '../classify/verdict.ts';
import type { Requirement } from '../select/requirement.ts';
import { toolEnvironment } from './environment.ts';
import { exists, isFolder, isWithin, linksIn, namesIn, realPath } from './files.ts';
import { isNative } from './needs/cpu.ts';
import { noNeeds, type Needs } from './needs/needs.ts';
import { projectOf } from './project.ts';
import { systemRequirements } from './requirements.ts';
import { Roots } from './roots.ts';
import { pathWithoutShims } from './run-tool.ts';
import { hiddenFolders, isSystem, isVirtual } from './system.ts';
import type { Plan, PlanContext } from './types.ts';

export type Draft = {
  readonly request: Request;
  readonly verdict: Candidate;
  readonly context: PlanContext;
  readonly home: string | undefined;
  /** PATH without the shims. */
  readonly path: string;
  /** Names of the caller's environment that no worker is given. */
  readonly withheld: ReadonlySet<string>;
  readonly roots: Roots;
  readonly needs: Needs;
  readonly requirements: Requirement[];
  readonly notes: string[];
  project: string;
  /** The read-only root in which the tool may make files; '' for none. */
  open: string;
  locks: string[];
  catchExec: string[];
  caches: string[];
  outputs: string[] | undefined;
  first: Plan['first'];
  tooSmall: string | undefined;
};

export function newDraft(request: Request, verdict: Candidate, context: PlanContext): Draft {
  const named = request.env.get('HOME');
  const home = named?.startsWith('/') === true ? posix.resolve(named) : undefined;
  return {
    request,
    verdict,
    context,
    home,
    path: pathWithoutShims(request.env, request.shimDir),
    withheld: new Set(
      [...request.env.keys()].filter((name) => context.withheld(name) !== undefined),
    ),
    roots: new Roots(home, context.exclude, context.gitLimit),
    needs: noNeeds(),
    requirements: [{ kind: 'arch' }, { kind: 'libc' }],
    notes: [],
    project: request.cwd,
    open: '',
    locks: [],
    catchExec: [],
    caches: [],
    outputs: undefined,
    first: undefined,
    tooSmall: verdict.tooSmall,
  };
}

/** Programs that keep a cache or a server of this machine between the caller and the compiler. */
const wrappers = /(^|\/)(sccache|ccache|distcc|icecc|icecream|fastbuild|buildcache|pump|colorgcc)$/;

/** Why a program cannot stand in for a compiler elsewhere. */
export function wrapperReason(program: string): string | undefined {
  const real = realPath(program) ?? program;
  const name = [program, real].find((each) => wrappers.test(each));
  return name === undefined
    ? undefined
    : `${posix.basename(name)} keeps its cache or its server on this machine`;
}

/** Programs that give a file what does not travel with it: acl(5), xattr(7), capabilities(7), chattr(1). */
const attributes = /(^|\/)(setfacl|setfattr|setcap|chattr)$/;

/** Why a build that calls the program stays here, for what it leaves behind. */
export function attributeReason(program: string): string | undefined {
  return attributes.test(program)
    ? `the build calls ${posix.basename(program)}, and what that sets would not come back`
    : undefined;
}

/** Takes the project around a folder as the root whose changes return. */
export function takeProject(draft: Draft, folder: string): Failure | undefined {
  const found = projectOf(folder, draft.home);
  if ('refused' in found) return { reason: found.refused };
  draft.project = found.root;
  return draft.roots.project(found.root);
}

/** Folders that exist on any worker, if empty: the tool may stand in them. */
function alwaysThere(draft: Draft, folder: string): boolean {
  return folder === '/' || folder === '/tmp' || folder === '/var/tmp' || folder === draft.home;
}

/** Makes the caller's working folder exist there, under each of its names ($PWD may be a symlink). */
export function takeWorkingFolder(draft: Draft): Failure | undefined {
  const { request, roots } = draft;
  if (!roots.holds(request.cwd) && !alwaysThere(draft, request.cwd)) {
    const place = roots.reads(request.cwd);
    if (!place.ok) return place.failure;
  }
  const pwd = request.env.get('PWD');
  if (pwd === undefined || pwd === request.cwd || realPath(pwd) !== request.cwd) return undefined;
  const place = roots.reads(pwd);
  return place.ok || alwaysThere(draft, request.cwd) ? undefined : place.failure;
}

/** What is beside the project and belongs to the command all the same: see `Needs.outside`. */
export function takeOutside({ needs, roots, project }: Draft): Failure | undefined {
  for (const paths of [needs.entered, needs.outside])
    for (const path of paths) {
      if (!exists(path) || isWithin(project, path) || isSystem(path) || isVirtual(path)) continue;
      const place = roots.reads(path, paths === needs.entered);
      if (!place.ok) return place.failure;
    }
  return undefined;
}

/**
 * Symlinks at the top of these folders lead where they lead here (`build -> /scratch/build`). With `writes` the command may
 * make files where they lead to.
 */
export function takeLinks(
  { roots }: Draft,
  folders: Iterable<string>,
  writes: boolean,
): Failure | undefined {
  for (const link of [...new Set(folders)].flatMap(linksIn)) {
    const real = realPath(link);
    if (real === undefined || isSystem(real) || isVirtual(real) || roots.holds(real)) continue;
    const place = roots.reads(link, writes && isFolder(real));
    if (!place.ok) return place.failure;
  }
  return undefined;
}

/** Where compilers, linkers, pkg-config and make look for what they find nowhere else. */
const searchPaths = [
  ...['CPATH', 'C_INCLUDE_PATH', 'CPLUS_INCLUDE_PATH', 'OBJC_INCLUDE_PATH', 'LIBRARY_PATH'],
  ...['PKG_CONFIG_PATH', 'PKG_CONFIG_LIBDIR', 'MAKEFILES'],
];
/** Names of what has its own way to the worker, or is a job's own there. */
export const ownWays =
  /^(PATH|HOME|PWD|OLDPWD|TMPDIR|TMP|TEMP|SHELL|MAIL|XDG_\w+|RCH_\w+|CARGO_HOME|RUSTUP_HOME|CARGO_TARGET_DIR|CARGO_MAKEFLAGS|MAKEFLAGS|\w*_SOCK(ET)?)$/;

/** Paths that the caller's environment names: where tools search, and what the build itself reads. */
export function takeEnvironmentPaths(draft: Draft): Failure | undefined {
  const { needs, roots, request, home } = draft;
  for (const name of new Set([...searchPaths, ...needs.variables])) {
    const value = ownWays.test(name) ? undefined : request.env.get(name);
    for (const path of value?.split(/[:\s]/) ?? []) {
      if (!/^\/[^/]/.test(path) || path === home || !exists(path) || isVirtual(path)) continue;
      if (roots.holds(path) || isWithin(draft.project, path)) continue;
      const place = roots.reads(posix.normalize(path));
      if (!place.ok) return place.failure;
      if (place.value === 'system') needs.paths.add(path);
    }
  }
  return undefined;
}

/** A program that the command calls; elsewhere it must be the same. */
export function needTool(draft: Draft, program: string): Failure | undefined {
  const reason = wrapperReason(program);
  if (reason !== undefined) return { reason };
  draft.needs.programs.add(program);
  return undefined;
}

/** Why a build that reads variables which no worker is given stays here; `given` come by the command line. */
export function withheldReason(
  { needs, withheld }: Draft,
  given: ReadonlyMap<string, string> = new Map(),
): Failure | undefined {
  const name = [...needs.variables].find((each) => withheld.has(each) && !given.has(each));
  if (name === undefined) return undefined;
  return {
    reason: `the build reads the variable ${name}, which is not given to a worker (environment.withhold)`,
    next: `if workers may know it, name it in environment.pass`,
  };
}

/** Why a build stays here that uses a descriptor of its caller (`3>log make`): a worker has the first three. */
export function descriptorReason({ needs, request, context }: Draft): Failure | undefined {
  const traced = request.env.get('BASH_XTRACEFD');
  const used = [...needs.descriptors, ...(traced === undefined ? [] : [traced])];
  const number = used.find((each) => context.inherits?.(each) === true);
  return number === undefined
    ? undefined
    : { reason: `the build uses descriptor ${number} of its caller, which no worker has` };
}

export type CpuUse = {
  /** As needs/cpu.ts finds them. */
  readonly flags: Iterable<string>;
  /** The command may run what these flags compile. */
  readonly runs: boolean;
};

/** What the flags of a build ask of the CPU it runs on. */
export function needCpu({ needs, requirements }: Draft, { flags, runs }: CpuUse): void {
  const all = [...flags];
  const [flag] = all;
  if (all.some((each) => isNative(each, needs.words.has('native'))))
    requirements.push({ kind: 'cpu', why: 'the build compiles for the native CPU' });
  else if (runs && flag !== undefined)
    requirements.push({
      kind: 'instructions',
      why: `the build may run what it compiles with ${flag}`,
    });
}

function shimTools(shimDir: string): string[] {
  return namesIn(shimDir);
}

function uncarried(draft: Draft): Failure | undefined {
  const { request, roots } = draft;
  if (isSystem(request.real) || roots.holds(request.real)) return undefined;
  // Parts of a home folder that travel by name (rustup's proxies) are not whole roots.
  const carried = roots
    .planned()
    .some((root) => root.only.some((part) => isWithin(request.real, `${root.path}/${part}`)));
  return carried ? undefined : { reason: `${request.real} is on this machine alone` };
}

/** Folders to hide, the caller's TMPDIR among them: a job has temporary folders of its own. */
function hidden(draft: Draft, roots: readonly string[]): string[] {
  const folders = hiddenFolders(roots, draft.home);
  const temporary = draft.request.env.get('TMPDIR');
  if (temporary?.startsWith('/') !== true || temporary === '/') return folders;
  const path = posix.resolve(temporary);
  const known = folders.includes(path) || draft.roots.holds(path) || isSystem(path);
  return known ? folders : [...folders, path].sort();
}

function distinct(requirements: readonly Requirement[]): Requirement[] {
  const known = new Map<string, Requirement>();
  for (const each of requirements) {
    const path = 'path' in each ? each.path : '';
    const subject = 'name' in each ? each.name : path;
    const key = `${each.kind} ${subject}`;
    if (!known.has(key)) known.set(key, each);
  }
  return [...known.values()];
}

/** Turns names into requirements and the draft into a plan. */
export async function finish(draft: Draft): Promise<Result<Plan>> {
  const { request, verdict, context, roots } = draft;
  const temporary = request.env.get('TMPDIR') ?? '';
  // A job has a folder of its own in its place.
  if (temporary.startsWith('/') && !isFolder(temporary))
    return fail(`TMPDIR is ${temporary}, which is no folder: the message of this machine is right`);
  const no = uncarried(draft);
  if (no !== undefined) return fail(no.reason, no.next);
  const { machine, caches } = context;
  const found = await systemRequirements(draft.needs, { machine, caches, roots, path: draft.path });
  if (!found.ok) return found;
  // As the launcher does for a command that runs here: tools print and keep the paths they find by PATH.
  const env = new Map(request.env);
  if (env.has('PATH')) env.set('PATH', draft.path);
  const environment = toolEnvironment(env, context.withheld);
  if (environment.jobserver)
    draft.notes.push("the calling make's jobserver does not reach a worker and is left out");
  const planned = roots.planned();
  return ok({
    tool: request.real,
    project: draft.project,
    roots: planned,
    hide: hidden(
      draft,
      planned.map((root) => root.path),
    ),
    open: roots.planned().some((root) => root.path === draft.open) ? [draft.open] : [],
    env: environment.env,
    withheld: environment.withheld,
    requirements: distinct([...draft.requirements, ...found.value]),
    locks: draft.locks,
    catchExec: draft.catchExec,
    caches: draft.caches,
    outputs: draft.outputs,
    network: true,
    slots: verdict.cores ?? context.defaultSlots,
    first: draft.first,
    shimTools: shimTools(request.shimDir),
    tooSmall: draft.tooSmall,
    estimateMs: verdict.estimateMs,
    notes: draft.notes,
  });
}
