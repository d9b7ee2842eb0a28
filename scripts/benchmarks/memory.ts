/** Resident memory of the daemon (front, link and their helpers) and of the agent, once they are at rest. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Line } from './measure.ts';
import type { Stage } from './stage.ts';

/** ms until what was used once was given back. */
const REST = 75_000;

/** kB resident in a set of processes; a file that several of them have mapped counts once, as far as any has it. */
export function residentKb(pids: readonly number[]): number {
  let own = 0;
  const files = new Map<string, number>();
  for (const pid of pids) {
    const here = new Map<string, number>();
    let file = '';
    for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
      const head = /^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ (\d+)\s*(.*)$/.exec(line);
      if (head !== null) file = head[1] === '0' ? '' : (head[2] ?? '');
      const field = /^(Rss|Private_Dirty|Anonymous):\s+(\d+) kB/.exec(line);
      if (field === null) continue;
      const kb = Number(field[2]);
      if (field[1] === 'Anonymous') {
        own += kb;
        if (file !== '') here.set(file, (here.get(file) ?? 0) - kb);
      } else if (field[1] === 'Rss' && file !== '') here.set(file, (here.get(file) ?? 0) + kb);
    }
    for (const [name, kb] of here) files.set(name, Math.max(files.get(name) ?? 0, kb));
  }
  let shared = 0;
  for (const kb of files.values()) shared += kb;
  return own + shared;
}

type Process = { readonly pid: number; readonly parent: number; readonly words: readonly string[] };

function processes(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        const [, parent = '0'] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        const words = readFileSync(`/proc/${name}/cmdline`, 'latin1').split('\0');
        return [{ pid: Number(name), parent: Number(parent), words }];
      } catch {
        return [];
      }
    });
}

/** The process and all below it. */
function familyOf(pid: number): Process[] {
  const all = processes();
  const family = all.filter((each) => each.pid === pid);
  for (const member of family) family.push(...all.filter((each) => each.parent === member.pid));
  return family;
}

/** A fresh daemon, one small build, a rest: then the figures. */
export async function memory(stage: Stage): Promise<Line[]> {
  await stage.world.rch(['daemon', 'stop']);
  await stage.world.start();
  const cwd = join(stage.folder, 'memory');
  mkdirSync(cwd, { recursive: true });
  writeFileSync(join(cwd, 'Makefile'), 'out: Makefile\n\t@touch out\n');
  await stage.remote(cwd, 'make');
  await sleep(REST);
  const status = JSON.parse(await stage.world.rch(['daemon', 'status', '--json'])) as {
    pid: number;
  };
  const daemon = familyOf(status.pid);
  // `/proc/PID/root` of the worker's first process.
  const first = Number(/\d+/.exec(stage.worker.root)?.[0]);
  const agentPid = processes().find(
    ({ pid, words }) => words.some((word) => word.endsWith('rch-wkr.mjs')) && together(pid, first),
  )?.pid;
  const agent = agentPid === undefined ? [] : familyOf(agentPid);
  for (const { pid, words } of [...daemon, ...agent])
    stage.detail(`${(residentKb([pid]) / 1024).toFixed(1)} MB  ${words.join(' ')}`);
  const idle = await idleNode();
  return [
    line('daemon (front, one link, their helpers)', { family: daemon, goal: 120, idle }),
    line('agent and its helper', { family: agent, goal: 80, idle }),
  ];
}

/** Whether two processes have one mount namespace. */
function together(a: number, b: number): boolean {
  try {
    return readlinkSync(`/proc/${a}/ns/mnt`) === readlinkSync(`/proc/${b}/ns/mnt`);
  } catch {
    return false;
  }
}

/** MB of a Node that does nothing. */
async function idleNode(): Promise<number> {
  const child = spawn(process.execPath, ['-e', 'console.log(); setInterval(() => 0, 1e6)']);
  await once(child.stdout, 'data');
  const megabytes = residentKb(child.pid === undefined ? [] : [child.pid]) / 1024;
  const gone = once(child, 'close');
  child.kill();
  await gone;
  return megabytes;
}

function line(
  what: string,
  of: { readonly family: readonly Process[]; readonly goal: number; readonly idle: number },
): Line {
  const megabytes = residentKb(of.family.map(({ pid }) => pid)) / 1024;
  return {
    bench: 'memory',
    what: `${what} at rest, resident, shared files once; against an idle Node`,
    measured: `${megabytes.toFixed(0)} MB`,
    baseline: `${of.idle.toFixed(0)} MB`,
    ratio: megabytes / of.idle,
    goal: `< ${of.goal} MB`,
    met: of.family.length > 0 && megabytes < of.goal,
  };
}
