/** How busy others keep this machine: what its processors do beyond the slots that our jobs have. */
import { readFileSync } from 'node:fs';

/** Jiffies of all processors since the boot: idle (with iowait) and all, from the first line of /proc/stat (proc(5)). */
export type ProcessorTimes = { readonly idle: number; readonly all: number };

export function parseProcessorTimes(stat: string): ProcessorTimes {
  const numbers = (stat.split('\n', 1)[0] ?? '').split(/\s+/).slice(1, 9).map(Number);
  const all = numbers.reduce((sum, value) => sum + value, 0);
  return { idle: (numbers[3] ?? 0) + (numbers[4] ?? 0), all };
}

/** Cores that others kept busy between two looks, at least: a job of ours may use less than its slots. */
export function outsideLoad(
  before: ProcessorTimes,
  now: ProcessorTimes,
  of: { readonly cores: number; readonly slots: number },
): number {
  const passed = now.all - before.all;
  if (passed <= 0) return 0;
  const busy = of.cores * Math.max(0, 1 - (now.idle - before.idle) / passed);
  return Math.max(0, Math.round((busy - of.slots) * 10) / 10);
}

/** Takes a look now and then. */
export class LoadWatch {
  #before: ProcessorTimes | undefined;
  #slots = 0;

  /** `slots`: those in use now. The load since the last look; undefined at the first. */
  look(cores: number, slots: number): number | undefined {
    const now = parseProcessorTimes(readFileSync('/proc/stat', 'latin1'));
    const before = this.#before;
    this.#before = now;
    // What began or ended in between had its slots for a part of the time.
    const held = Math.max(slots, this.#slots);
    this.#slots = slots;
    return before === undefined ? undefined : outsideLoad(before, now, { cores, slots: held });
  }
}
