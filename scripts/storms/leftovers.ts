/** What a storm left behind where nothing should be left. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { Ground } from './storm.ts';

/** ms for the last jobs to be given back. */
const GRACE = 15_000;

/**
 * Processes that a worker may have at rest: its sshd and sessions, the agent with its helper and a process for the next
 * job, and what leads to it.
 */
const resident = /^(sshd|node|rch-fs|MainThread)|(rch-run|start) attach\b|rch-run wait\b/;

const status = z.object({
  jobs: z.array(z.object({ command: z.string() })),
  queue: z.array(z.object({ command: z.string() })),
  local: z.object({ leases: z.array(z.object({ command: z.string() })) }),
  workers: z.array(z.object({ id: z.string(), slots: z.object({ used: z.number() }).nullable() })),
});

/** What the daemon still knows of as running, waiting or lent, after a grace. */
export async function stillRuns({ world }: Ground): Promise<string[]> {
  const till = performance.now() + GRACE;
  for (;;) {
    const now = status.parse(JSON.parse(await world.rch(['status', '--json'])));
    const left = [
      ...now.jobs.map(({ command }) => `a job is left: ${command}`),
      ...now.queue.map(({ command }) => `somebody is left in line: ${command}`),
      ...now.local.leases.map(({ command }) => `a lease is left: ${command}`),
      ...now.workers
        .filter(({ slots }) => slots !== null && slots.used > 0)
        .map(({ id, slots }) => `${id}: ${slots?.used ?? 0} slots are taken`),
    ];
    if (left.length === 0 || performance.now() > till) return left;
    await delay(200);
  }
}

/** Open sockets, pipes and the like of a process, by sort; not files, which are opened when they are first needed. */
export function openFiles(pid: number): Map<string, number> {
  const counts = new Map<string, number>();
  const folder = `/proc/${pid}/fd`;
  for (const name of readdirSync(folder)) {
    let target: string;
    try {
      target = readlinkSync(join(folder, name)).replace(/:\[\d+\]$/, '');
    } catch {
      continue;
    }
    if (target.startsWith('/')) continue;
    counts.set(target, (counts.get(target) ?? 0) + 1);
  }
  return counts;
}

/** After a grace: the last callers' connections may still be closing. */
async function moreFiles(before: ReadonlyMap<string, number>, pid: number): Promise<string[]> {
  const till = performance.now() + GRACE;
  const more = (): [string, number][] =>
    [...openFiles(pid)].filter(([target, count]) => count > (before.get(target) ?? 0));
  while (more().length > 0 && performance.now() < till) await delay(200);
  return more().map(
    ([target, count]) => `the daemon has ${count} of ${target}, before ${before.get(target) ?? 0}`,
  );
}

/** Names of processes on a worker that are none of its residents, by their own /proc. */
function processesOn(root: string): string[] {
  return readdirSync(join(root, 'proc'))
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const name = readFileSync(join(root, 'proc', pid, 'comm'), 'utf8').trim();
        const line = readFileSync(join(root, 'proc', pid, 'cmdline'), 'utf8').replaceAll('\0', ' ');
        return resident.test(name) || resident.test(line) ? [] : [`${pid} ${name}: ${line.trim()}`];
      } catch {
        return [];
      }
    });
}

const entries = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);

/** Files, processes and descriptors that are left here and there; to be called when nothing runs any more. */
export async function leftovers(
  { world, fleet }: Ground,
  filesBefore: ReadonlyMap<string, number>,
  daemon: number,
): Promise<string[]> {
  const state = join(world.home, '.local', 'state', 'rch');
  const cache = join(world.home, '.cache', 'rch');
  const here = fleet.workers.flatMap(({ id }) => [
    ...entries(join(state, 'jobs', id)).map((name) => `a job file is left: ${id}/${name}`),
    ...entries(join(cache, 'redo', id)).map(
      (name) => `an unfinished return is left: ${id}/${name}`,
    ),
  ]);
  const there = fleet.workers.flatMap(({ id, root, home }) => {
    const agent = join(home, '.cache', 'rch-wkr');
    return [
      ...processesOn(root).map((name) => `${id}: the process ${name} is left`),
      ...['jobs', 'trash', 'kept'].flatMap((part) =>
        entries(join(agent, part)).map((name) => `${id}: ${part}/${name} is left`),
      ),
    ];
  });
  return [...here, ...there, ...(await moreFiles(filesBefore, daemon))];
}
