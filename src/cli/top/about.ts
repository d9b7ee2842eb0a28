/** What `rch top` says of the selected thing below the list, or alone on the screen. */
import type { TerminalText } from '../../base/terminal-text.ts';
import type { HistoryRecord } from '../../protocol/methods.ts';
import type { WatchedJob, WatchedWaiting, WatchedWorker } from '../../protocol/watch.ts';
import { phasesText, shortId } from '../render/record.ts';
import { count, duration, printable, size } from '../render/text.ts';
import type { Item } from './model.ts';
import { ofRuns, wrapped, type Line, type Tone } from './paint.ts';
import { phaseWord, stateTone, stateWord, type Rows } from './rows.ts';

export type About = {
  readonly title: string;
  /** What it is. */
  readonly facts: readonly Line[];
  /** What it wrote; its end is what counts. */
  readonly output: readonly Line[] | undefined;
};

const line = (text: string, tone: Tone = 'plain'): Line => [{ text, tone }];

function workerAbout(worker: WatchedWorker): About {
  const { machine } = worker;
  const place = worker.host === '' ? worker.transport : `${worker.transport} ${worker.host}`;
  const link = [
    ...(worker.roundTripMs === null ? [] : [`round trip ${worker.roundTripMs.toFixed(1)} ms`]),
    ...(worker.clockOffsetMs === null ? [] : [`clock ${worker.clockOffsetMs.toFixed(1)} ms off`]),
    `breaker ${worker.breaker}`,
    `priority ${worker.priority}`,
  ];
  const troubles = worker.troubles.map(({ reason, next }) => [reason, next] as const);
  const wrong = troubles.length === 0 ? [[worker.reason, worker.next] as const] : troubles;
  return {
    title: `${worker.id} (${place})`,
    facts: [
      line(stateWord(worker), stateTone(worker)),
      ...wrong.flatMap(([reason, next]) => [
        ...(reason === '' ? [] : [line(printable(reason), 'warn')]),
        ...(next === '' ? [] : [line(`next: ${printable(next)}`)]),
      ]),
      line(link.join(', ')),
      ...(machine === null
        ? []
        : [
            line(`${machine.hostname}, ${machine.system}`),
            line(
              `${count(machine.cores, 'core')}, ${size(machine.memory)} of memory, ${size(machine.diskFree)} of disk free`,
            ),
          ]),
    ],
    output: undefined,
  };
}

/** `preparing 12 ms, sending 1.2 s, running 3.4 s`. */
function stepsText({ steps }: WatchedJob, { now }: Rows): string {
  return steps
    .map(({ phase, since }, at) => {
      const till = steps[at + 1]?.since ?? now;
      return `${phaseWord(phase)} ${duration(Math.max(0, till - since))}`;
    })
    .join(', ');
}

function jobAbout(job: WatchedJob, rows: Rows, output: readonly Line[]): About {
  return {
    title: `${shortId(job.id)} on ${job.worker}: ${printable(job.command)}`,
    facts: [
      line(`${printable(job.cwd)}, ${count(job.slots, 'slot')}, ${printable(job.caller)}`, 'dim'),
      line(stepsText(job, rows), 'dim'),
    ],
    output: output.length > 0 ? output : [line(`no output yet (${printable(job.phase)})`, 'dim')],
  };
}

function waitingAbout(waiting: WatchedWaiting): About {
  const places = waiting.for.map((place) => (place === 'here' ? 'its turn here' : place));
  return {
    title: `${shortId(waiting.id)} waits: ${printable(waiting.command)}`,
    facts: [
      line(printable(waiting.cwd), 'dim'),
      line(`place ${waiting.place} in line for ${places.join(' or ')}`),
      line(`priority ${waiting.priority}, caller ${printable(waiting.caller)}`),
    ],
    output: undefined,
  };
}

function recordAbout(record: HistoryRecord): About {
  const where = record.decision === 'remote' ? `ran on ${record.worker ?? 'a worker'}` : 'ran here';
  const { sent, received, output } = record.bytes;
  const phases = phasesText(record);
  return {
    title: `${shortId(record.id)}: ${printable(record.command)}`,
    facts: [
      line(`${where}: ${printable(record.reason)}`),
      ...(phases === '' ? [] : [line(phases, 'dim')]),
      ...(sent + received + output === 0
        ? []
        : [line(`sent ${size(sent)}, received ${size(received)}, output ${size(output)}`, 'dim')]),
      line(`${printable(record.cwd)}, ${record.startedAt}`, 'dim'),
      ...record.conflicts.map((path) => line(`kept as it was here: ${printable(path)}`, 'warn')),
      line('Enter: everything behind this decision', 'dim'),
    ],
    output: undefined,
  };
}

/** `written`: what a running job wrote so far, and how many lines of that are wanted. */
export function aboutOf(
  item: Item,
  rows: Rows,
  written: { readonly text: TerminalText | undefined; readonly lines: number },
): About {
  switch (item.kind) {
    case 'worker':
      return workerAbout(item.worker);
    case 'job':
      return jobAbout(item.job, rows, written.text?.last(written.lines).map(ofRuns) ?? []);
    case 'lease': {
      const { lease } = item;
      return {
        title: `${shortId(lease.id)} here: ${printable(lease.command)}`,
        facts: [
          line(printable(lease.cwd), 'dim'),
          line(`pid ${lease.pid}, ${count(lease.cores, 'core')}, ${printable(lease.caller)}`),
          line('What it writes goes straight to where it was started.', 'dim'),
        ],
        output: undefined,
      };
    }
    case 'waiting':
      return waitingAbout(item.waiting);
    case 'record':
      return recordAbout(item.record);
  }
}

/** Facts within so many columns. */
export function foldedFacts({ facts }: About, columns: number): Line[] {
  return facts.flatMap((fact) => {
    const [span] = fact;
    if (span === undefined || fact.length > 1) return [fact];
    return wrapped(span.text, columns).map((text) => [{ ...span, text }]);
  });
}
