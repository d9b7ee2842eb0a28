/**
 * Uploads one part of the agent, going on where an earlier upload was cut: unpacked beside its place, checked, then moved
 * there; whole or not at all.
 */
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

/** Before the bytes of an archive that are there. */
const HELD = 'rch-held';
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

/**
 * Says how much of the archive is there, takes the rest from its stdin, and unpacks all of it into FOLDER/NAME. What a
 * cut leaves is gone on with by the next upload of the same archive; of two at once the later one keeps to itself.
 */
export function unpackScript(folder: 'agents' | 'node', archive: Archive): string {
  const { hash, bytes } = archive;
  return [
    `${BASE}; umask 077; d=$b/${folder}; n=${hash}; t=$d/.new-$$; p=$d/.part-$n-${bytes}; l=$p.lock`,
    `mkdir -p "$d" || exit ${CANNOT_WRITE}`,
    // What an upload left that was cut off together with its shell, and what nobody went on with for a day.
    'for o in "$d"/.new-*; do kill -0 "${o##*-}" 2>/dev/null || rm -rf "$o"; done',
    'find "$d" -name ".part-*" -mtime +0 -exec rm -f {} + 2>/dev/null',
    'holder() { readlink "$l" 2>/dev/null; }',
    'ln -s $$ "$l" 2>/dev/null || kill -0 "$(holder)" 2>/dev/null || { rm -f "$l"; ln -s $$ "$l"; }',
    '[ "$(holder)" = $$ ] || p=$d/.new-part-$$',
    'clean() { rm -rf "$t" "$d/.new-part-$$"; if [ "$(holder)" = $$ ]; then rm -f "$l"; fi; }',
    `trap clean EXIT; trap "exit ${CUT_OFF}" HUP TERM INT`,
    `mkdir "$t" && touch "$p" || exit ${CANNOT_WRITE}`,
    `[ $(wc -c <"$p") -le ${bytes} ] || : >"$p"`,
    `echo; echo ${HELD} $(wc -c <"$p") ${END}`,
    `cat >>"$p" || { rm -f "$p"; exit ${NOT_UNPACKED}; }`,
    `[ $(wc -c <"$p") -eq ${bytes} ] || exit ${CUT_OFF}`,
    `tar -xzf "$p" -C "$t" || { rm -f "$p"; exit ${NOT_UNPACKED}; }`,
    'rm -f "$p"',
    `[ -e "$t/ready" ] || exit ${INCOMPLETE}`,
    folder === 'agents' ? `"$t/start" check || exit ${NOEXEC}` : '[ -x "$t/node" ]',
    '[ -e "$d/$n/ready" ] || { rm -rf "$d/$n"; mv "$t" "$d/$n"; }',
    `[ -e "$d/$n/ready" ] || exit ${NOT_PLACED}`,
    'clean',
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
      'the next attempt goes on where it stopped',
    );
  return fail(`the upload of the agent failed with exit code ${end.code}${detail}`);
}

/** The rest of a file, which is sent as a part of the agent. */
type Rest = {
  readonly archive: Archive;
  readonly from: number;
  readonly part: UploadProgress['part'];
};

/** Sends it, and reports; resolves when all was written or the stream is gone, or nothing moved for too long. */
async function send(
  { stream }: RemoteScript,
  { archive, from, part }: Rest,
  needs: TransportNeeds,
): Promise<'sent' | 'stalled'> {
  const began = performance.now();
  let bytes = from;
  const rest = createReadStream(archive.path, { start: from, highWaterMark: 256 << 10 });
  for await (const chunk of rest) {
    if (stream.destroyed || needs.signal?.aborted === true) break;
    if (!stream.write(chunk) && !(await drained(stream))) return 'stalled';
    bytes += (chunk as Buffer).length;
    needs.progress?.({
      part,
      bytes,
      total: archive.bytes,
      rate: ((bytes - from) * 1000) / Math.max(performance.now() - began, 1),
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

/** Bytes of the archive that an earlier upload left there. */
async function heldThere(
  stream: RemoteScript['stream'],
  signal: AbortSignal | undefined,
): Promise<Result<number>> {
  const wait = { ms: STALL_MS, signal };
  const begun = await skipTo(stream, Buffer.from(`\n${HELD} `), wait);
  const told = begun.ok ? await skipTo(stream, Buffer.from(` ${END}\n`), wait) : begun;
  if (!told.ok) return told;
  const held = /^\d+$/.exec(told.value)?.[0];
  return held === undefined ? fail('the worker does not say what it has') : ok(Number(held));
}

/** Uploads an archive to where its hash says. */
export async function upload(
  reach: Reach,
  part: UploadProgress['part'],
  archive: Archive,
  needs: TransportNeeds,
): Promise<Result<undefined>> {
  const started = await reach.run(unpackScript(part === 'agent' ? 'agents' : 'node', archive));
  if (!started.ok) return started;
  const { stream, ended, stderr } = started.value;
  const held = await heldThere(stream, needs.signal);
  const first = held.ok
    ? await unpacked(started.value, { archive, from: held.value, part }, needs)
    : held;
  stream.destroy();
  if (first.ok) return ok(undefined);
  if (needs.signal?.aborted === true) return first;
  return uploadFailure(await ended, stderr());
}

/** Sends the rest, and waits until all of it is in its place. */
async function unpacked(
  script: RemoteScript,
  rest: Rest,
  needs: TransportNeeds,
): Promise<Result<unknown>> {
  const done = skipTo(script.stream, Buffer.from(`${MARK}\n${END}\n`), {
    ms: 24 * 3600 * 1000,
    signal: needs.signal,
  });
  const sending = send(script, rest, needs);
  return Promise.race([
    done,
    sending.then((how) =>
      how === 'stalled'
        ? fail(`the upload moved nothing for ${STALL_MS / 1000} s`)
        : within(done, { ms: UNPACK_MS }, 'the worker did not unpack the agent in time'),
    ),
  ]);
}
