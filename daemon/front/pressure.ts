/** How much longer a command takes here now than on an idle machine. */
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';

/** ms that a reading holds. */
const FRESH = 1000;
/** A machine that stands still altogether makes commands this many times longer at the most. */
const MOST = 8;

let reading: { readonly at: number; readonly factor: number } | undefined;

/**
 * By pressure stall information: `some avg10=25.00` means that during a quarter of the last ten seconds a task that
 * was ready waited for a CPU (Documentation/accounting/psi.rst), so that work took a third longer.
 */
export function factorOfPressure(text: string): number | undefined {
  const some = /^some avg10=(\d+(?:\.\d+)?)/m.exec(text)?.[1];
  if (some === undefined) return undefined;
  return Math.min(MOST, 1 / Math.max(1 / MOST, 1 - Number(some) / 100));
}

/** By the load average of the last minute, where the kernel counts no pressure. */
export function factorOfLoad(load: number, cores: number): number {
  return Math.min(MOST, Math.max(1, load / Math.max(1, cores)));
}

/** A busy machine slows what runs here: by what waits for a CPU, or at least by the heavy commands that share it. */
export function loadHere(
  heavy: { readonly used: number; readonly limit: number },
  cores: number,
): number {
  return Math.max(loadFactor(cores), 1 + heavy.used / Math.max(1, heavy.limit));
}

/** 1 on an idle machine. */
function loadFactor(cores: number): number {
  const now = performance.now();
  if (reading !== undefined && now - reading.at < FRESH) return reading.factor;
  let pressure: string;
  try {
    pressure = readFileSync('/proc/pressure/cpu', 'latin1');
  } catch {
    // ENOENT, or EOPNOTSUPP where it was switched off at boot.
    pressure = '';
  }
  const factor = factorOfPressure(pressure) ?? factorOfLoad(loadavg()[0] ?? 0, cores);
  reading = { at: now, factor };
  return factor;
}
