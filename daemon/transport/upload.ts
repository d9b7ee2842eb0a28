/** Uploads one part of the agent: unpacked beside its place, checked, then moved there; whole or not at all. */
import { createReadStream } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { fail, ok, type Failure, type Result } from '../../src/base/result.ts';
import type { Archive } from './agent-parts.ts';
import { within } from './deadline.ts';
import { shown, skipTo } from './marker.ts';
import type {
  Reach,
  RemoteScript,
  ScriptEnd,
  TransportNeeds,
  UploadProgress,
} from './transport.ts';
import { BASE, END, MARK } from './worker-shell.ts';

/** An upload that moves no byte for this long has failed. */
const STALL_MS = 30_000;
/** For the worker to unpack and check what it has, ms. */
const UNPACK_MS = 600_000;
/** Days after which an agent or Node that was not started is removed. */
const KEEP_DAYS = 14;
/** Exit codes of the script below, and what they mean. */
const CANNOT_WRITE = 71;
const NOT_UNPACKED = 72;
const INCOMPLETE = 73;
const NOEXEC = 74;
const NOT_PLACED = 75;
const CUT_OFF = 76;

/** Unpacks its stdin into FOLDER/NAME; also right when two do it at once. */
export function unpackScript(folder: 'agents' | 'node', name: string): string {
  return [
    `${BASE}; umask 077; d=$b/${folder}; n=${name}; t=$d/.new-$$`,
    `mkdir -p "$d" || exit ${CANNOT_WRITE}`,
    // What an upload left that was cut off together with its shell.
    'for o in "$d"/.new-*; do kill -0 "${o##*-}" 2>/dev/null || rm -rf "$o"; done',
    'clean() { rm -rf "$t"; }',
    `trap clean EXIT; trap "exit ${CUT_OFF}" HUP TERM INT`,
    `mkdir "$t" || exit ${CANNOT_WRITE}`,
    `tar -xzf - -C "$t" || exit ${NOT_UNPACKED}`,
    `[ -e "$t/ready" ] || exit ${INCOMPLETE}`,
    folder === 'agents' ? `"$t/start" check || exit ${NOEXEC}` : '[ -x "$t/node" ]',
    '[ -e "$d/$n/ready" ] || { rm -rf "$d/$n"; mv "$t" "$d/$n"; }',
    `[ -e "$d/$n/ready" ] || exit ${NOT_PLACED}`,
    REMOVE_OLD,
    `echo; echo ${MARK}; echo ${END}`,
  ].join('; ');
}

/**
 * Removes the other parts that nobody has started for a while, unless somebody still listens there, or machines that
 * cannot be asked from here share the folder (start-script.ts).
 */
const REMOVE_OLD = [
  'for o in "$d"/*; do case $o in */$n) continue;; esac; if [ -d "$b/on" ]; then continue; fi',
  `[ -n "$(find "$o" -prune -mtime +${KEEP_DAYS} 2>/dev/null)" ] || continue`,
  'if [ -x "$o/rch-run" ] && "$o/rch-run" attach "$b/run/${o##*/}.sock" </dev/null >/dev/null 2>&1; then continue; fi',
  'rm -rf "$o"; done',
].join('; ');

const CODES: Readonly<Record<number, Failure>> = {
  [CANNOT_WRITE]: {
    reason: 'its folder ~/.cache/rch-wkr cannot be made or written',
    next: 'make the home folder writable for this account',
  },
  [NOT_UNPACKED]: { reason: 'unpacking the agent failed' },
  [INCOMPLETE]: { reason: 'the agent arrived incomplete' },
  [NOEXEC]: {
    reason: 'programs cannot be run from ~/.cache/rch-wkr',
    next: 'the home folder there is mounted noexec: remount it with exec, or use another account',
  },
  [NOT_PLACED]: { reason: 'the agent could not be put in its place' },
};

function uploadFailure(end: ScriptEnd, said: string): Result<never> {
  if (/No space left|[Qq]uota exceeded|disk full/.test(said))
    return fail('the disk of the worker is full', 'free some space there: df -h ~');
  const known = end.code === undefined ? undefined : CODES[end.code];
  const detail = said === '' ? '' : ` (${shown(said).replace(/^It printed: /, '')})`;
  if (known !== undefined) return fail(`${known.reason}${detail}`, known.next);
  if (end.code === undefined)
    return fail(
      'the connection was lost during the upload of the agent',
      'it begins anew with the next attempt',
    );
  return fail(`the upload of the agent failed with exit code ${end.code}${detail}`);
}

/** Sends a file, and reports; resolves when all was written or the stream is gone, or nothing moved for too long. */
async function send(
  script: RemoteScript,
  archive: Archive,
  part: UploadProgress['part'],
  needs: TransportNeeds,
): Promise<'sent' | 'stalled'> {
  const { stream } = script;
  const began = performance.now();
  let bytes = 0;
  for await (const chunk of createReadStream(archive.path, { highWaterMark: 256 << 10 })) {
    if (stream.destroyed || needs.signal?.aborted === true) break;
    if (!stream.write(chunk) && !(await drained(stream))) return 'stalled';
    bytes += (chunk as Buffer).length;
    needs.progress?.({
      part,
      bytes,
      total: archive.bytes,
      rate: (bytes * 1000) / Math.max(performance.now() - began, 1),
    });
  }
  stream.end();
  return 'sent';
}

function drained(stream: RemoteScript['stream']): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stream.off('drain', done);
      stream.off('close', done);
      stream.off('end', done);
      resolve(true);
    };
    const timer = setTimeout(() => {
      resolve(false);
    }, STALL_MS);
    stream.on('drain', done);
    stream.on('close', done);
    stream.on('end', done);
  });
}

/** Uploads an archive to where its hash says. */
export async function upload(
  reach: Reach,
  part: UploadProgress['part'],
  archive: Archive,
  needs: TransportNeeds,
): Promise<Result<undefined>> {
  const started = await reach.run(unpackScript(part === 'agent' ? 'agents' : 'node', archive.hash));
  if (!started.ok) return started;
  const { stream, ended, stderr } = started.value;
  const done = skipTo(stream, Buffer.from(`${MARK}\n${END}\n`), {
    ms: 24 * 3600 * 1000,
    signal: needs.signal,
  });
  const sending = send(started.value, archive, part, needs);
  const first = await Promise.race([
    done,
    sending.then((how) =>
      how === 'stalled'
        ? fail(`the upload moved nothing for ${STALL_MS / 1000} s`)
        : within(done, { ms: UNPACK_MS }, 'the worker did not unpack the agent in time'),
    ),
  ]);
  stream.destroy();
  if (first.ok) return ok(undefined);
  if (needs.signal?.aborted === true) return first;
  return uploadFailure(await ended, stderr());
}
