/** Checks what a link wants run against what is here, before anything is done for it. */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import { ok, type Failure, type Result } from '../base/result.ts';
import { RootPolicy, type AgentMessage } from '../protocol/agent.ts';
import { jobSpec, type JobSpec, type RefusalKind } from '../protocol/jobs.ts';
import type { RawPath } from '../tree/manifest.ts';
import { pathFault } from '../tree/paths.ts';
import { isBelow, within } from './caches.ts';
import type { Root } from './root.ts';
import type { Roots } from './roots.ts';

export const JOB_BYTES = 16;

export type JobRefusal = Failure & { readonly kind: RefusalKind };

export type PlannedRoot = {
  readonly root: Root;
  readonly path: RawPath;
  readonly readOnly: boolean;
  readonly epoch: bigint;
};

export type JobPlan = {
  readonly id: Buffer;
  readonly spec: JobSpec;
  readonly argv: readonly Buffer[];
  readonly env: readonly Buffer[];
  readonly cwd: Buffer;
  readonly tool: RawPath;
  readonly roots: readonly PlannedRoot[];
};

type RunRequest = Extract<AgentMessage, { type: 'run' }>;

export function refuse(kind: RefusalKind, reason: string): Result<never, JobRefusal> {
  return { ok: false, failure: { kind, reason } };
}

/** Bytes of a message are views into its frame; what is kept must be copied. */
function kept(list: readonly Buffer[]): Buffer[] {
  return list.map((item) => Buffer.from(item));
}

function absolutePath(path: string): boolean {
  return path.startsWith('/') && !path.includes('\0') && path.length < 4096;
}

function readSpec(json: Buffer): Result<JobSpec, JobRefusal> {
  try {
    const parsed = jobSpec.safeParse(JSON.parse(json.toString('utf8')));
    return parsed.success
      ? ok(parsed.data)
      : refuse('internal', `the job: ${parsed.error.message}`);
  } catch {
    return refuse('internal', 'the job is not JSON');
  }
}

function faultOf(spec: JobSpec, message: RunRequest): string | undefined {
  if (message.argv.length === 0) return 'the job has no argv';
  if (!absolutePath(message.cwd.toString('latin1'))) return 'the working folder is not absolute';
  if (!absolutePath(message.tool.toString('latin1'))) return 'the tool is not an absolute path';
  if (spec.shimDir !== '' && !absolutePath(spec.shimDir)) return 'the shim folder is not absolute';
  if (spec.hide.some((path) => !absolutePath(path))) return 'a folder to hide is not absolute';
  if (spec.open.some((path) => !spec.roots.some((root) => root.path === path)))
    return 'an open folder is not a root';
  if (spec.caches.some((path) => pathFault(path) !== undefined)) return 'a cache is not a path';
  if (spec.shimTools.some((name) => name === '' || name.includes('/') || name.includes('\0')))
    return 'a shim is not a plain name';
  if (!/^-?\d{1,20}$/.test(spec.newest)) return 'the newest time is not a number';
  return undefined;
}

/** Everything that can be known without waiting. The epochs are checked again when the trees are ours. */
export function planJob(
  message: RunRequest,
  workstation: string,
  roots: Roots,
): Result<JobPlan, JobRefusal> {
  if (message.job.length !== JOB_BYTES) return refuse('internal', 'the job has no id');
  const spec = readSpec(message.json);
  if (!spec.ok) return spec;
  const fault = faultOf(spec.value, message);
  if (fault !== undefined) return refuse('bad-path', fault);
  const planned: PlannedRoot[] = [];
  for (const wanted of spec.value.roots) {
    const root = roots.find(workstation, wanted.root);
    if (root?.path !== wanted.path || root.policy !== wanted.policy)
      return refuse('no-root', `${wanted.path} is not here`);
    if (planned.some((other) => other.path === wanted.path))
      return refuse('bad-path', `${wanted.path} comes twice`);
    const readOnly = wanted.policy === RootPolicy.readOnly;
    planned.push({ root, path: wanted.path, readOnly, epoch: BigInt(wanted.epoch) });
  }
  return ok({
    id: Buffer.from(message.job),
    spec: spec.value,
    argv: kept(message.argv),
    env: kept(message.env),
    cwd: Buffer.from(message.cwd),
    tool: message.tool.toString('latin1'),
    roots: planned,
  });
}

/** The root at or above `path`, the innermost where they are nested. */
export function rootAt(plan: JobPlan, path: RawPath): PlannedRoot | undefined {
  return plan.roots
    .filter((root) => isBelow(path, root.path))
    .sort((a, b) => b.path.length - a.path.length)[0];
}

/** Whether the job would find a program at the absolute `path`. */
export function hasProgram(plan: JobPlan, path: RawPath): boolean {
  const root = rootAt(plan, path);
  if (root !== undefined) {
    const entry = root.root.agreed.get(path.slice(root.path.length + 1));
    if (entry === undefined || entry.kind === 'dir') return false;
    return entry.kind !== 'file' || (entry.mode & 0o111) !== 0;
  }
  if ([...plan.spec.hide, '/tmp', '/var/tmp'].some((folder) => isBelow(path, folder))) return false;
  const raw = Buffer.from(path, 'latin1');
  try {
    // Most are not there, and an exception costs more than the look.
    if (statSync(raw, { throwIfNoEntry: false })?.isFile() !== true) return false;
    accessSync(raw, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether the job sees something at the absolute `path`, in a root or of this machine. */
export function isVisible(plan: JobPlan, path: RawPath): boolean {
  const root = rootAt(plan, path);
  // Of a root that is only read, some parts alone may have been carried; a project is here as its owner has it.
  if (root !== undefined)
    return !root.readOnly || root.root.agreed.has(path.slice(root.path.length + 1));
  if ([...plan.spec.hide, '/tmp', '/var/tmp'].some((folder) => isBelow(path, folder))) return false;
  return existsSync(Buffer.from(path, 'latin1'));
}

/** As many symlinks as Linux follows (path_resolution(7)). */
const MOST_LINKS = 40;

/** Where a symlink in a root of the job leads; undefined for what is none. */
function leadsTo(plan: JobPlan, path: RawPath): RawPath | undefined {
  const root = rootAt(plan, path);
  const entry = root?.root.agreed.get(path.slice(root.path.length + 1));
  if (entry?.kind !== 'symlink') return undefined;
  return entry.target.startsWith('/') ? entry.target : `${posix.dirname(path)}/${entry.target}`;
}

/** An absolute path without `.` and `..`; where a `..` stands behind a symlink, it leads up from where that leads. */
export function resolvedIn(plan: JobPlan, path: RawPath): RawPath {
  let links = 0;
  const parts = path.split('/').reverse();
  let at = '';
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    if (part === '' || part === '.') continue;
    if (part !== '..') {
      at += `/${part}`;
      continue;
    }
    const target = links < MOST_LINKS ? leadsTo(plan, at) : undefined;
    if (target === undefined) at = at.slice(0, Math.max(0, at.lastIndexOf('/')));
    else {
      links += 1;
      parts.push('..', ...target.split('/').reverse());
      at = '';
    }
  }
  return at === '' ? '/' : at;
}

/** The value of a variable in `NAME=value` bytes, latin1. */
export function variable(env: readonly Buffer[], name: string): string | undefined {
  const prefix = `${name}=`;
  const found = env.find((item) => item.subarray(0, prefix.length).equals(Buffer.from(prefix)));
  return found?.toString('latin1', prefix.length);
}

/** For each shim of the caller, the program its name means here: the first on the job's PATH behind the shims. */
export function shimTargets(plan: JobPlan): Map<string, RawPath> {
  const targets = new Map<string, RawPath>();
  const folders = (variable(plan.env, 'PATH') ?? '')
    .split(':')
    .filter((folder) => folder.startsWith('/') && folder.replace(/\/+$/, '') !== plan.spec.shimDir);
  for (const name of plan.spec.shimTools) {
    const folder = folders.find((each) => hasProgram(plan, `${each.replace(/\/+$/, '')}/${name}`));
    if (folder !== undefined) targets.set(name, `${folder.replace(/\/+$/, '')}/${name}`);
  }
  return targets;
}

/** Folders of `outer` where other roots of the job are mounted, relative to it. */
export function coveredIn(plan: JobPlan, outer: PlannedRoot): RawPath[] {
  return within(
    outer.path,
    plan.roots.map(({ path }) => path),
  );
}

/** What of the environment a program has that its parent had not, and what it lost: for a program to be run at home. */
export function environmentChange(
  before: readonly Buffer[],
  after: readonly Buffer[],
): { set: Buffer[]; unset: Buffer[] } {
  const nameOf = (item: Buffer): string => item.toString('latin1').split('=', 1)[0] ?? '';
  const old = new Set(before.map((item) => item.toString('latin1')));
  const names = new Set(after.map(nameOf));
  return {
    set: after.filter((item) => !old.has(item.toString('latin1'))),
    unset: before
      .map(nameOf)
      .filter((name) => !names.has(name))
      .map((name) => Buffer.from(name, 'latin1')),
  };
}
