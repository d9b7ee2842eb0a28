/**
 * The worker of `rch demo`: a child of the daemon, there while the demo runs and in no file of the user's.
 * The mark `home/run/demo` holds "PID START ID\n" of the demo, and counts only while that process lives.
 */
import { readFileSync } from 'node:fs';
import { demoMark, type Layout } from '../base/layout.ts';
import { startTimeOf } from '../base/processes.ts';
import { workerConfig, type WorkerConfig } from './worker-schema.ts';

/** The worker that a running demo asked for. */
export function demoWorker(layout: Layout): WorkerConfig | undefined {
  let text: string;
  try {
    text = readFileSync(demoMark(layout), 'utf8');
  } catch {
    return undefined;
  }
  const [pid, start, id] = text.trim().split(' ');
  if (start === undefined || startTimeOf(Number(pid))?.toString() !== start) return undefined;
  const worker = workerConfig.safeParse({ id, transport: 'embedded' });
  return worker.success ? worker.data : undefined;
}
