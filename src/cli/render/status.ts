/** `rch status` as a tree. */
import { describe } from '../../config/problems.ts';
import type { StatusReply, WorkerStatus } from '../../protocol/methods.ts';
import type { Colors, Look } from '../report.ts';
import { shortId } from './record.ts';
import { queueText } from './queue.ts';
import { clip, count, duration, printable, size, table } from './text.ts';

type Branch = { readonly text: string; readonly below: readonly Branch[] };

const leaf = (text: string): Branch => ({ text, below: [] });

function draw(branches: readonly Branch[], indent: string): string[] {
  return branches.flatMap(({ text, below }, index) => {
    const last = index === branches.length - 1;
    return [
      `${indent}${last ? '└── ' : '├── '}${text}`,
      ...draw(below, `${indent}${last ? '    ' : '│   '}`),
    ];
  });
}

/** Its health, and while it is on its way what it is at. */
export function stateText(worker: WorkerStatus, colors: Colors): string {
  switch (worker.health) {
    case 'healthy':
      return colors.green('healthy');
    case 'degraded':
      return colors.yellow(worker.reason === '' ? 'degraded' : 'degraded, not used');
    case 'draining':
      return colors.yellow('draining');
    case 'unreachable':
      return worker.state === 'unreachable'
        ? colors.red('unreachable')
        : colors.yellow(worker.state);
    case 'disabled':
      return colors.dim('disabled');
  }
}

/** What is wrong, a line each; what to do about it behind. */
export function troubleLines(worker: WorkerStatus): string[] {
  const lines = worker.troubles.map(({ reason, next }) => [reason, next] as const);
  const all = lines.length === 0 ? [[worker.reason, worker.next] as const] : lines;
  return all.flatMap(([reason, next]) => [
    ...(reason === '' ? [] : [printable(reason)]),
    ...(next === '' ? [] : [`next: ${printable(next)}`]),
  ]);
}

/** `css (203.0.113.20): ready, 2/32 slots, 1 job`, and below it what is wrong. */
function workerBranch(worker: WorkerStatus, colors: Colors): Branch {
  const place = worker.host === '' ? worker.transport : worker.host;
  const parts = [
    stateText(worker, colors),
    ...(worker.slots === null ? [] : [`${worker.slots.used}/${worker.slots.total} slots`]),
    ...(worker.jobs === 0 ? [] : [count(worker.jobs, 'job')]),
    ...(worker.speed === null ? [] : [`score ${worker.speed.toFixed(1)}`]),
    ...(worker.breaker === 'closed' ? [] : [`breaker ${worker.breaker}`]),
  ];
  return {
    text: `${worker.id} (${place}): ${parts.join(', ')}`,
    below: troubleLines(worker).map(leaf),
  };
}

function jobBranches(status: StatusReply): Branch {
  return {
    text: `active compilations: ${status.jobs.length}`,
    below: status.jobs.map((job) =>
      leaf(
        `${shortId(job.id)}: ${printable(job.command)} (${job.worker}, ${count(job.slots, 'slot')}, ${job.phase}, ${duration(job.sinceMs)} elapsed)`,
      ),
    ),
  };
}

function localBranches({ local, queue }: StatusReply): Branch[] {
  const here: Branch = {
    text: `heavy commands here: ${local.leases.length}, on ${local.used} of ${count(local.limit, 'core')}`,
    below: local.leases.map((each) =>
      leaf(`${printable(each.command)} (pid ${each.pid}, ${duration(each.sinceMs)})`),
    ),
  };
  if (queue.length === 0) return [here];
  const line: Branch = {
    text: `in line: ${queue.length} (rch queue)`,
    below: queue.map(({ place, command, caller, waitedMs }) =>
      leaf(`${place}: ${printable(command)} (${printable(caller)}, ${duration(waitedMs)})`),
    ),
  };
  return [here, line];
}

/** `rch status --jobs`: everything that runs or waits. */
export function activeText(status: StatusReply, look: Look): string {
  const { jobs, local, queue } = status;
  const running = [
    ...jobs.map((job) => ({ ...job, where: job.worker, phase: job.phase, cores: job.slots })),
    ...local.leases.map((lease) => ({ ...lease, where: 'here', phase: 'running' })),
  ];
  const head = ['JOB', 'WHERE', 'PHASE', 'CORES', 'FOR', 'CALLER', 'COMMAND', 'FOLDER'];
  const rows = running.map((each) => [
    shortId(each.id),
    each.where,
    each.phase,
    String(each.cores),
    duration(each.sinceMs),
    printable(each.caller),
    clip(printable(each.command), 48),
    printable(each.cwd),
  ]);
  return [
    rows.length === 0 ? 'nothing runs' : table([head, ...rows], look.width),
    ...(queue.length === 0 ? [] : ['', queueText(queue, look)]),
  ].join('\n');
}

type ConfigStatus = StatusReply['config'];

const noWorkers = ({ config }: StatusReply): string =>
  config.problems.length > 0
    ? 'workers: not known until the configuration is mended'
    : 'workers: none yet (rch workers add)';

const problemText = ({ reason, ...place }: ConfigStatus['problems'][number]): string =>
  printable(describe({ ...place, message: reason }));

/** Files of projects: what is wrong with them, or waits in them. */
function projectBranches({ projects }: ConfigStatus, colors: Colors): Branch[] {
  return projects.map(({ file, problems, untrusted }) => {
    if (problems.length === 0)
      return {
        text: colors.yellow(`without effect until rch trust: ${untrusted.join(', ')}`),
        below: [leaf(printable(file))],
      };
    return {
      text: colors.red("a project's file cannot be used, so its commands run here"),
      below: problems.map((problem) => leaf(problemText(problem))),
    };
  });
}

/** Where metrics are to be had, while somebody asked for them. */
function metricsBranches({ metrics }: StatusReply, colors: Colors): Branch[] {
  if (metrics === null) return [];
  const { url, trouble } = metrics;
  return [leaf(trouble === '' ? `metrics: ${url}` : colors.red(`metrics: ${printable(trouble)}`))];
}

/**
 * The tree. `notes`: of files that stop no command, a line each. No line is cut: what is wrong is said to its end, by
 * terminals in several lines.
 */
export function statusText(
  status: StatusReply,
  notes: readonly string[],
  { colors }: Look,
): string {
  const { counts } = status;
  const problems = status.config.problems.map((problem) => leaf(problemText(problem)));
  const branches: Branch[] = [
    leaf(
      `daemon: ${colors.green('running')} (pid ${status.pid}, uptime ${duration(status.uptimeMs)}, ${size(status.memory)})`,
    ),
    ...(status.enabled || problems.length > 0
      ? []
      : [leaf(colors.yellow('general.enabled = false: every command runs here'))]),
    ...(problems.length === 0
      ? []
      : [
          {
            text: colors.red('configuration cannot be used, so every command runs here'),
            below: problems,
          },
        ]),
    ...projectBranches(status.config, colors),
    ...notes.map((note) => leaf(`${colors.yellow('config:')} ${printable(note)}`)),
    ...status.notices.map(({ text }) => leaf(colors.yellow(`notice: ${printable(text)}`))),
    ...metricsBranches(status, colors),
    ...(status.logTrouble === ''
      ? []
      : [leaf(colors.red(`log: ${printable(status.logTrouble)} (general.log_file)`))]),
    jobBranches(status),
    ...localBranches(status),
    leaf(
      `since its start: ${counts.remote} remote, ${counts.local} local` +
        (counts.returned > 0 ? `, ${counts.returned} came back before they had started` : '') +
        (counts.lost > 0 ? colors.red(`, ${counts.lost} lost`) : ''),
    ),
    {
      text: status.workers.length > 0 ? 'workers:' : noWorkers(status),
      below: status.workers.map((worker) => workerBranch(worker, colors)),
    },
  ];
  return [colors.bold(`rch ${status.version}`), ...draw(branches, '')].join('\n');
}
