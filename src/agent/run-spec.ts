/** Turns a planned job into the command line and the spec of its `rch-run`, and makes the folder it needs. */
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { MountFlag, SandboxMethod, type RunSpec } from '../protocol/run.ts';
import { isBelow } from './caches.ts';
import { shimTargets, type JobPlan } from './job-plan.ts';
import { bubblewrapArguments, planMounts, type Mount } from './mounts.ts';
import { here, type Sandbox } from './sandbox.ts';
import type { ShimFolders } from './shim-folders.ts';
import type { SlotLease } from './slots.ts';
import { standIns } from './stand-ins.ts';
import { temporariesOf } from './temporaries.ts';

/** Bytes of output of one stream that the launcher has not written yet; more is not read from the tool. */
export const OUTPUT_WINDOW = 1024 * 1024;

export type Prepared = { readonly argv: readonly [string, ...string[]]; readonly spec: RunSpec };

export type SpecNeeds = {
  /** The agent's. */
  readonly agentFolder: string;
  /** The job's own folder, not made yet. */
  readonly folder: string;
  readonly runner: string;
  readonly shims: ShimFolders;
  readonly sandbox: Sandbox;
  readonly lease: SlotLease;
};

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** A latin1-decoded path as the string that Node turns into the same bytes. Throws where there is none. */
function asText(path: string): string {
  const text = bytes(path).toString('utf8');
  if (!Buffer.from(text).equals(bytes(path)))
    throw new Error(`${text} cannot be given to bubblewrap`);
  return text;
}

function makeFolder(plan: JobPlan, folder: string): void {
  const temporaries = temporariesOf(plan).map(({ part }) => part);
  for (const part of ['', ...temporaries]) mkdirSync(join(folder, part), { mode: 0o700 });
  for (const part of ['tmp', 'vartmp']) chmodSync(join(folder, part), 0o1777);
}

/**
 * Folders of the caller's and the worker's user that the job must not see, and the agent's own, wherever it lies: who
 * reaches that has every project in it, and the socket by which anything is run. Temporary ones are replaced anyway.
 */
function hidden(plan: JobPlan, agentFolder: string): string[] {
  const replaced = temporariesOf(plan).map(({ path }) => path);
  const folders = [...new Set([...plan.spec.hide, homedir()])].filter(
    (folder) => folder !== '/' && !replaced.includes(folder),
  );
  // Where it lies in one of those there must not even be a way to it.
  const covered = [...folders, ...replaced].some((folder) => isBelow(agentFolder, folder));
  return covered ? folders : [...folders, agentFolder];
}

/** A read-only root in which new files may be made: a folder of the job's with everything of the root in it. */
function openRoot(source: string, path: string, folder: string): Mount[] {
  mkdirSync(folder, { mode: 0o700 });
  const mounts: Mount[] = [{ source: folder, target: path, flags: 0 }];
  for (const entry of readdirSync(bytes(source), { withFileTypes: true, encoding: 'buffer' })) {
    const name = entry.name.toString('latin1');
    const from = `${source}/${name}`;
    if (entry.isSymbolicLink())
      symlinkSync(readlinkSync(bytes(from), 'buffer'), bytes(`${folder}/${name}`));
    else
      mounts.push({
        source: from,
        target: `${path}/${name}`,
        flags: MountFlag.readOnly | (entry.isDirectory() ? 0 : MountFlag.file),
      });
  }
  return mounts;
}

/** The mounts of this job. */
function viewOf(plan: JobPlan, { folder, shims }: SpecNeeds): ReturnType<typeof planMounts> {
  const { shimDir, open } = plan.spec;
  const isOpen = (path: string): boolean => open.includes(path);
  return planMounts({
    roots: plan.roots
      .filter(({ path }) => !isOpen(path))
      .map(({ root, path, readOnly }) => ({
        source: root.treePath.toString('latin1'),
        path,
        readOnly,
      })),
    more: plan.roots
      .filter(({ path }) => isOpen(path))
      .flatMap(({ root, path }, at) =>
        openRoot(root.treePath.toString('latin1'), path, join(folder, `open${at}`)),
      ),
    temporaries: temporariesOf(plan).map(({ path, part }) => ({
      source: join(folder, part),
      target: path,
      flags: 0,
    })),
    shims: shimDir === '' ? '' : shims.of(shimTargets(plan)),
    shimDir,
  });
}

function baseSpec(plan: JobPlan, lease: SlotLease): RunSpec {
  const { spec } = plan;
  const [inKind, outKind, errKind] = spec.streams;
  return {
    type: 'spec',
    method: SandboxMethod.none,
    mountSources: [],
    mountTargets: [],
    mountFlags: [],
    hide: [],
    filePaths: [],
    fileContents: [],
    host: Buffer.alloc(0),
    uid: spec.user.uid,
    gid: spec.user.gid,
    network: spec.network,
    tool: bytes(plan.tool),
    argv: plan.argv,
    env: [...plan.env, Buffer.from('RCH_ON_WORKER=1')],
    cwd: plan.cwd,
    umask: spec.umask,
    inKind,
    outKind,
    errKind,
    joined: spec.joined,
    ...spec.window,
    termios: Buffer.from(spec.termios, 'base64'),
    rlimits: Buffer.from(spec.rlimits, 'base64'),
    signals: Buffer.from(spec.signals, 'base64'),
    affinity: lease.affinity,
    window: OUTPUT_WINDOW,
    catchExec: spec.catchExec.map(bytes),
  };
}

export function prepare(plan: JobPlan, needs: SpecNeeds): Prepared {
  makeFolder(plan, needs.folder);
  const spec = baseSpec(plan, needs.lease);
  const files = standIns(plan.spec);
  if (needs.sandbox.method === 'namespaces') {
    const mounts = viewOf(plan, needs);
    return {
      argv: [needs.runner],
      spec: {
        ...spec,
        method: SandboxMethod.namespaces,
        mountSources: mounts.map((mount) => bytes(mount.source)),
        mountTargets: mounts.map((mount) => bytes(mount.target)),
        mountFlags: mounts.map((mount) => mount.flags),
        hide: hidden(plan, needs.agentFolder).map(bytes),
        filePaths: files.map(({ path }) => bytes(path)),
        fileContents: files.map(({ content }) => content),
        host: Buffer.from(plan.spec.machine.host),
      },
    };
  }
  if (needs.sandbox.method === 'bubblewrap') {
    const written = files.map(({ path, content }) => {
      const source = join(needs.folder, basename(path));
      writeFileSync(source, content);
      return { source, path };
    });
    const [program, ...rest] = bubblewrapArguments(
      {
        program: needs.sandbox.bubblewrap,
        mounts: viewOf(plan, needs),
        hide: hidden(plan, needs.agentFolder),
        files: written,
        host: plan.spec.machine.host,
        uid: plan.spec.user.uid,
        gid: plan.spec.user.gid,
        network: plan.spec.network,
        runner: needs.runner,
      },
      here,
    );
    // Node gives arguments to a program as UTF-8: what is not must not reach it as something else.
    return { argv: [asText(program ?? ''), ...rest.map(asText)], spec };
  }
  return { argv: [needs.runner], spec };
}
