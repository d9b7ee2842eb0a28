/**
 * Brings the agent to a worker that has no more than sh, tar and gzip: looks what is there, uploads what is missing,
 * each part whole or not at all. On the worker, below ~/.cache/rch-wkr:
 * ```
 * agents/HASH/   rch-wkr.mjs rch-run rch-fs native/ start ready
 * node/HASH/     node lib/ ready              our own Node, where the worker has none of version 20
 * ```
 */
import { execa } from 'execa';
import { ok, type Result } from '../../src/base/result.ts';
import type { AgentParts, Archive } from './agent-parts.ts';
import type { Reach, TransportNeeds, UploadProgress } from './transport.ts';
import { upload } from './upload.ts';
import { fits, probeWorker, spacious, type WorkerShell } from './worker-shell.ts';

/** The libc here, by the same words as on the worker. */
async function libcHere(): Promise<string> {
  const asked = await execa('getconf', ['GNU_LIBC_VERSION'], { reject: false, stdin: 'ignore' });
  return asked.failed ? '' : asked.stdout.trim();
}

type Wanted = { readonly part: UploadProgress['part']; readonly archive: Archive };

/** The archives to send; none when the worker has all. */
async function wantedParts(
  worker: WorkerShell,
  parts: AgentParts,
  withNode: boolean,
): Promise<Result<Wanted[]>> {
  const wanted: Wanted[] = [];
  if (!worker.hasNode && (withNode || (!worker.ready && worker.nodeMajor < 20))) {
    const archive = await parts.node();
    if (!archive.ok) return archive;
    wanted.push({ part: 'node', archive: archive.value });
  }
  if (!worker.ready) {
    const archive = await parts.agent();
    if (!archive.ok) return archive;
    wanted.push({ part: 'agent', archive: archive.value });
  }
  return ok(wanted);
}

/** Makes sure that the worker has the agent, and a Node for it. `withNode`: ours even if the worker seems to have one. */
export async function bootstrap(
  reach: Reach,
  parts: AgentParts,
  needs: TransportNeeds,
  withNode = false,
): Promise<Result<undefined>> {
  const probed = await probeWorker(reach, parts, needs.signal);
  if (!probed.ok) return probed;
  const worker = probed.value;
  if (!worker.ready) {
    const fitting = fits(worker, { arch: process.arch, libc: await libcHere() });
    if (!fitting.ok) return fitting;
  }
  const wanted = await wantedParts(worker, parts, withNode);
  if (!wanted.ok) return wanted;
  const space = worker.ready
    ? ok(undefined)
    : spacious(
        worker,
        wanted.value.map(({ archive }) => archive),
      );
  if (!space.ok) return space;
  for (const { part, archive } of wanted.value) {
    const uploaded = await upload(reach, part, archive, needs);
    if (!uploaded.ok) return uploaded;
  }
  return ok(undefined);
}
