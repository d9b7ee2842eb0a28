/** `rch status`: daemon, workers, running jobs, and what is wrong. */
import { existsSync } from 'node:fs';
import { frontSocket, stoppedMark } from '../base/layout.ts';
import { ok } from '../base/result.ts';
import { DaemonClient } from '../client/daemon-client.ts';
import { describe, told, type Problem } from '../config/problems.ts';
import { mergeLayers, readLayers, type Layers } from '../config/load.ts';
import { toolchainProblems } from '../config/toolchain-schema.ts';
import { warningsOf } from '../config/warnings.ts';
import type { WorkerConfig } from '../config/worker-schema.ts';
import type { HistoryRecord, StatusReply } from '../protocol/methods.ts';
import { projectIfAny } from './config/scope.ts';
import { fleetText } from './render/fleet.ts';
import { numbersOf, numbersText } from './render/numbers.ts';
import { activeText, statusText } from './render/status.ts';
import { exitCodes, type Context, type Look, type Outcome } from './report.ts';

/** What the files say that stops no command, and is not what anybody meant. */
function notesOf(layers: Layers, { layout }: Context): readonly Problem[] {
  return [...toolchainProblems(layout), ...warningsOf(layers, layout)];
}

const layersOf = (context: Context): Layers =>
  readLayers(context.layout, context.env, projectIfAny(context));

const listed = (workers: readonly WorkerConfig[]): string =>
  workers.length === 0 ? 'none yet (rch workers add)' : workers.map(({ id }) => id).join(', ');

/** Without a daemon: what the files say. */
function withoutDaemon(context: Context): Outcome {
  const { layout, env, version } = context;
  const layers = layersOf(context);
  const notes = notesOf(layers, context);
  const config = mergeLayers({ ...layers, project: undefined }, layout, env);
  const problems = config.ok ? [] : config.failure.problems;
  const workers = config.ok ? config.value.config.workers : [];
  const stopped = existsSync(stoppedMark(layout));
  return ok({
    facts: {
      running: false,
      stopped,
      version,
      socket: frontSocket(layout),
      config: { problems: problems.map(told), notes: notes.map(told) },
      workers: workers.map(({ id, transport, host }) => ({ id, transport, host: host ?? '' })),
    },
    text: ({ colors }) =>
      [
        colors.bold('rch'),
        `├── daemon: ${colors.yellow(stopped ? 'stopped by rch daemon stop' : 'not running')} (rch daemon start)`,
        ...problems.map((problem) => `├── ${colors.red('config:')} ${describe(problem)}`),
        ...notes.map((note) => `├── ${colors.yellow('config:')} ${describe(note)}`),
        `└── workers: ${config.ok ? listed(config.value.config.workers) : 'not known until the configuration is mended'}`,
      ].join('\n'),
    exit: exitCodes.notRunning,
  });
}

/** Parts of the whole; none of them: all that the tree shows. */
export type StatusWishes = {
  readonly jobs: boolean;
  readonly workers: boolean;
  readonly metrics: boolean;
};

/** Decisions whose times and bytes are summed up. */
const RECORDS = 1000;

type Part = { readonly facts: Record<string, unknown>; readonly text: (look: Look) => string };

function jobsPart(status: StatusReply): Part {
  const { jobs, local, queue } = status;
  return { facts: { jobs, local, queue }, text: (look) => activeText(status, look) };
}

function workersPart(status: StatusReply): Part {
  return { facts: { workers: status.workers }, text: (look) => fleetText(status, look) };
}

function metricsPart(status: StatusReply, records: readonly HistoryRecord[]): Part {
  const numbers = numbersOf(records);
  const { counts, metrics } = status;
  return {
    facts: { counts, metrics, numbers },
    text: (look) => numbersText(numbers, status, look),
  };
}

export async function status(context: Context, wishes: StatusWishes): Promise<Outcome> {
  const client = await DaemonClient.connect(context.layout);
  if (!client.ok) return client.failure.kind === 'absent' ? withoutDaemon(context) : client;
  const deadline = { timeoutMs: 10_000 };
  const reply = await client.value.call('status', {}, deadline);
  const records = wishes.metrics
    ? await client.value.call('history', { n: RECORDS }, deadline)
    : ok([]);
  client.value.close();
  if (!reply.ok) return reply;
  if (!records.ok) return records;
  const { value } = reply;
  const parts = [
    ...(wishes.jobs ? [jobsPart(value)] : []),
    ...(wishes.workers ? [workersPart(value)] : []),
    ...(wishes.metrics ? [metricsPart(value, records.value)] : []),
  ];
  if (parts.length === 0) {
    const notes = notesOf(layersOf(context), context);
    return ok({
      facts: { running: true, ...value, config: { ...value.config, notes: notes.map(told) } },
      text: (look) => statusText(value, notes.map(describe), look),
    });
  }
  const facts = Object.assign({ running: true }, ...parts.map((part) => part.facts)) as unknown;
  return ok({ facts, text: (look) => parts.map((part) => part.text(look)).join('\n\n') });
}
