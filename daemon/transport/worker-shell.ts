/** What a worker's shell says of it before there is an agent, and whether our programs can run there. */
import { fail, ok, type Failure, type Result } from '../../src/base/result.ts';
import type { AgentParts, Archive } from './agent-parts.ts';
import { shown, skipTo } from './marker.ts';
import type { Reach, RemoteScript, ScriptEnd } from './transport.ts';

/** Around whatever a script answers. */
export const MARK = 'rch-begin';
export const END = 'rch-end';
/** For the worker to say what it is. */
const PROBE_MS = 20_000;
/** Bytes that a part needs beyond its packed size, as a multiple: the Node binary packs to two fifths. */
const UNPACKED = 4;
/** Files and folders of an agent that holds nothing yet, and some for what it does first. */
const LEAST_INODES = 500;

/** The folder on the worker; the variable is set for an agent on this machine and its tests. */
export const BASE = 'b=${RCH_WKR_FOLDER:-${HOME:?}/.cache/rch-wkr}';

export type WorkerShell = {
  readonly ready: boolean;
  readonly hasNode: boolean;
  /** Its own, 0 when it has none. */
  readonly nodeMajor: number;
  readonly arch: string;
  /** As `getconf GNU_LIBC_VERSION` or `ldd --version` print it. */
  readonly libc: string;
  readonly freeBytes: number | undefined;
  /** Undefined too where the file system has no fixed number of them. */
  readonly freeInodes: number | undefined;
  readonly missing: readonly string[];
  readonly writable: boolean;
  readonly folder: string;
};

/** Prints what the worker has; when the agent is already there, that alone. */
export function probeScript(parts: Pick<AgentParts, 'hash' | 'nodeHash'>): string {
  return [
    BASE,
    `echo; echo ${MARK}`,
    'echo "folder $b"',
    `if [ -e "$b/agents/${parts.hash}/ready" ]; then echo ready`,
    `else umask 077; echo "arch $(uname -m)"`,
    'echo "libc $(getconf GNU_LIBC_VERSION 2>/dev/null || ldd --version 2>&1 | head -n 1)"',
    'echo "node $(node -v 2>/dev/null)"',
    'for t in tar gzip mkdir mv; do command -v $t >/dev/null 2>&1 || echo "missing $t"; done',
    'mkdir -p "$b" 2>/dev/null && [ -w "$b" ] && echo writable',
    'echo "disk $(df -Pk "$b" 2>/dev/null | tail -n 1)"',
    'echo "inodes $(df -Pi "$b" 2>/dev/null | tail -n 1)"; fi',
    `if [ -e "$b/node/${parts.nodeHash}/ready" ]; then echo has-node; fi`,
    `echo ${END}`,
  ].join('; ');
}

export function parseProbe(text: string): WorkerShell {
  const lines = text.split('\n').map((line) => line.trim());
  const value = (key: string): string =>
    lines
      .find((line) => line.startsWith(`${key} `))
      ?.slice(key.length + 1)
      .trim() ?? '';
  // df -P: file system, 1024-blocks, used, available, capacity, mounted on. Names may hold spaces, so from the right.
  const available = (line: string): number | undefined => {
    const found = /(\d+)\s+\d+%\s/.exec(line)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  const kilobytes = available(value('disk'));
  return {
    ready: lines.includes('ready'),
    hasNode: lines.includes('has-node'),
    nodeMajor: Number(/^v(\d+)\./.exec(value('node'))?.[1] ?? 0),
    arch: value('arch'),
    libc: value('libc'),
    freeBytes: kilobytes === undefined ? undefined : kilobytes * 1024,
    freeInodes: available(value('inodes')),
    missing: lines.filter((line) => line.startsWith('missing ')).map((line) => line.slice(8)),
    writable: lines.includes('writable'),
    folder: value('folder'),
  };
}

/** Reads a whole answer between our marks. */
async function answerOf(
  reach: Reach,
  script: string,
  signal: AbortSignal | undefined,
): Promise<Result<string>> {
  const started = await reach.run(script);
  if (!started.ok) return started;
  const { stream, ended } = started.value;
  stream.end();
  const began = await skipTo(stream, Buffer.from(`${MARK}\n`), { ms: PROBE_MS, signal });
  const rest = began.ok
    ? await skipTo(stream, Buffer.from(`${END}\n`), { ms: PROBE_MS, signal })
    : began;
  stream.destroy();
  if (rest.ok) return rest;
  const end = await ended;
  return shellFailure(started.value, end, rest.failure);
}

function shellFailure(script: RemoteScript, end: ScriptEnd, failure: Failure): Result<never> {
  const said = script.stderr();
  if (end.code === 127) return fail(`the worker has no POSIX shell: ${said}`, 'install sh there');
  const code = end.code === undefined || end.code === 0 ? '' : ` (exit code ${end.code})`;
  return fail(
    `the worker's shell did not answer${code}: ${failure.reason}${said === '' ? '' : `; ${shown(said)}`}`,
    'its login shell (with ~/.bashrc and the like, or a ForceCommand of its sshd) must run what ssh asks for; try: ssh to it, with the command true',
  );
}

/** Looks what the worker has. */
export async function probeWorker(
  reach: Reach,
  parts: AgentParts,
  signal?: AbortSignal,
): Promise<Result<WorkerShell>> {
  const answer = await answerOf(reach, probeScript(parts), signal);
  return answer.ok ? ok(parseProbe(answer.value)) : answer;
}

/** The glibc version in the words of getconf or ldd, as [major, minor]. */
export function glibcVersion(text: string): readonly [number, number] | undefined {
  if (/musl/i.test(text)) return undefined;
  const found = /(?:glibc|GLIBC|GNU libc|libc)\D*(\d+)\.(\d+)\s*$|(\d+)\.(\d+)\s*$/.exec(
    text.trim(),
  );
  const [major, minor] = [found?.[1] ?? found?.[3], found?.[2] ?? found?.[4]];
  return major === undefined || minor === undefined ? undefined : [Number(major), Number(minor)];
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'x86_64',
  arm64: 'aarch64',
  ia32: 'i686',
  riscv64: 'riscv64',
  ppc64: 'ppc64le',
  s390x: 's390x',
};

/** Whether our programs can run there at all. */
export function fits(
  worker: WorkerShell,
  here: { readonly arch: string; readonly libc: string },
): Result<undefined> {
  const [first] = worker.missing;
  if (first !== undefined)
    return fail(
      `the worker has no ${worker.missing.join(', ')}`,
      `install there: ${worker.missing.join(' ')}`,
    );
  const arch = ARCHITECTURES[here.arch] ?? here.arch;
  if (worker.arch !== arch)
    return fail(
      `the worker's architecture is ${worker.arch}, ours is ${arch}`,
      'only a worker of the same architecture can be used',
    );
  const [ours, theirs] = [glibcVersion(here.libc), glibcVersion(worker.libc)];
  if (ours !== undefined && theirs === undefined)
    return fail(
      `the worker's libc is not glibc (${shown(worker.libc)})`,
      'only a worker with glibc can be used',
    );
  if (
    ours !== undefined &&
    theirs !== undefined &&
    (theirs[0] < ours[0] || (theirs[0] === ours[0] && theirs[1] < ours[1]))
  )
    return fail(
      `the worker's glibc ${theirs.join('.')} is older than ours, ${ours.join('.')}`,
      'only a worker with the same or a newer glibc can be used',
    );
  if (!worker.writable)
    return fail(
      `the worker cannot write to ${worker.folder}`,
      'make the home folder writable for this account',
    );
  return ok(undefined);
}

/** Whether the archives find room there, unpacked, and the folders of an agent. */
export function spacious(worker: WorkerShell, archives: readonly Archive[]): Result<undefined> {
  if ((worker.freeInodes ?? LEAST_INODES) < LEAST_INODES)
    return fail(
      `the disk of the worker is full: ${worker.freeInodes} inodes are free in ${worker.folder}, the agent needs ${LEAST_INODES}`,
      'remove some files there: df -i ~',
    );
  const wanted = archives.reduce((sum, archive) => sum + archive.bytes * UNPACKED, 0);
  if (worker.freeBytes === undefined || worker.freeBytes >= wanted) return ok(undefined);
  const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;
  return fail(
    `the disk of the worker is full: ${megabytes(worker.freeBytes)} are free in ${worker.folder}, the agent needs ${megabytes(wanted)}`,
    'free some space there: df -h ~',
  );
}
