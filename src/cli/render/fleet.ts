/** `rch status --workers`: each worker in a row, and below it what is wrong. */
import { createColors } from 'picocolors';
import type { StatusReply, WorkerStatus } from '../../protocol/methods.ts';
import type { Look } from '../report.ts';
import { stateText, troubleLines } from './status.ts';
import { clip, duration, printable, size, table } from './text.ts';

const plain = createColors(false);

function cellsOf(worker: WorkerStatus): string[] {
  const { slots, speed, load, roundTripMs, facts, breaker } = worker;
  return [
    worker.id,
    worker.host === '' ? worker.transport : worker.host,
    stateText(worker, plain),
    slots === null ? '' : `${slots.used}/${slots.total}`,
    String(worker.jobs),
    speed === null ? '' : speed.toFixed(1),
    load === null ? '' : load.toFixed(1),
    roundTripMs === null ? '' : duration(roundTripMs),
    facts === null ? '' : size(facts.diskFree),
    breaker,
    worker.tags.join(' '),
  ];
}

/** LOAD: cores that others keep busy there. */
export function fleetText(
  { workers }: Pick<StatusReply, 'workers'>,
  { colors, width }: Look,
): string {
  if (workers.length === 0) return 'no worker yet (rch workers add)';
  const head = ['WORKER', 'HOST', 'HEALTH', 'SLOTS', 'JOBS', 'SCORE', 'LOAD', 'WAY', 'DISK'];
  const rows = table([[...head, 'BREAKER', 'TAGS'], ...workers.map(cellsOf)], width).split('\n');
  const troubles = workers.flatMap((worker) =>
    troubleLines(worker).map((line) =>
      colors.yellow(clip(printable(`${worker.id}: ${line}`), width)),
    ),
  );
  return [...rows, ...troubles].join('\n');
}
