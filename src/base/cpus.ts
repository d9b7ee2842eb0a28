/** The CPUs that a process may run on. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** Reads a CPU list of proc(5), such as `0-3,8`. */
export function parseCpuList(text: string): number[] {
  const cpus: number[] = [];
  for (const range of text.trim().split(',')) {
    const [first, last] = range.split('-').map(Number);
    if (first === undefined || !Number.isInteger(first)) continue;
    for (let cpu = first; cpu <= (last ?? first) && cpus.length < 4096; cpu++) cpus.push(cpu);
  }
  return cpus;
}

/** The CPUs this process may run on. */
export function allowedCpus(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const list = /^Cpus_allowed_list:\s*(.+)$/m.exec(status)?.[1];
  const cpus = parseCpuList(list ?? '');
  return cpus.length > 0 ? cpus : Array.from({ length: availableParallelism() }, (_, cpu) => cpu);
}
