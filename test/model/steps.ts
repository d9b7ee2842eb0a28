/** Everything that may happen next to a job, faults included. */
import type { JobRecord } from '../../daemon/journal/job-file.ts';
import { stateOf } from '../../daemon/link/job-origin.ts';
import type { JobEvent, JobState } from '../../daemon/link/job-state.ts';
import {
  agentHears,
  agentTakes,
  cut,
  end,
  launcherStep,
  linkHears,
  over,
  tell,
  toAgent,
  toLauncher,
  toolEnd,
  type Step,
  type System,
} from './system.ts';

/** More than this many of a kind of fault add nothing new. */
const MOST_FAULTS = 2;

function work(system: System): (Omit<Step, 'kind'> | undefined)[] {
  const { link, agent, net, launcher, line } = system;
  const at = typeof link === 'object' ? link.at : undefined;
  const job = typeof agent === 'object' ? agent.at : undefined;
  const step = (name: string, to: System): Omit<Step, 'kind'> => ({ name, to });
  const heard = !line && system.toLauncher.length === 0;
  const resumes = heard && link !== undefined && ['announced', 'running'].includes(launcher);
  return [
    system.toLauncher.length > 0 && !over(launcher)
      ? step('the launcher hears', launcherStep(system))
      : undefined,
    system.toAgent.length > 0 && agent !== undefined
      ? step('the agent hears', agentHears(system))
      : undefined,
    system.toLink.length > 0 && link !== undefined
      ? step('the link hears', linkHears(system))
      : undefined,
    at === 'preparing' && !system.twin
      ? step('it is prepared', tell({ ...system, file: 'run' }, { type: 'prepared' }))
      : undefined,
    at === 'preparing'
      ? step(
          'it is refused',
          tell(system, { type: 'refused', reason: '', learn: false, again: false, fault: true }),
        )
      : undefined,
    ...twinSteps(system, at),
    at === 'returning' && net && job === 'ended'
      ? step(
          'the results are placed',
          tell({ ...system, file: 'returned', placed: true }, { type: 'returned' }),
        )
      : undefined,
    at === 'returning' && net && job === 'ended'
      ? step(
          'the results stay',
          tell(
            { ...system, agent: { at: 'over', outcome: 'dropped' } },
            {
              type: 'returnFailed',
              reason: '',
              kept: true,
            },
          ),
        )
      : undefined,
    job === 'waiting' ? step('admitted', agentTakes(system, { type: 'admitted' })) : undefined,
    job === 'waiting' || job === 'starting'
      ? step('it cannot start', agentTakes(system, { type: 'failed' }))
      : undefined,
    job === 'starting'
      ? step('started', agentTakes(system, { type: 'started', from: 0n }))
      : undefined,
    job === 'running' || job === 'ending'
      ? step('the tool ends', agentTakes(system, { type: 'exited', end: toolEnd }))
      : undefined,
    job === 'collecting' ? step('collected', agentTakes(system, { type: 'collected' })) : undefined,
    !net && link !== undefined && agent !== undefined
      ? step('connected', reconnect(system))
      : undefined,
    link === undefined ? step('a new link', newLink(system)) : undefined,
    agent === undefined
      ? step('a new agent', { ...system, agent: 'none', process: false })
      : undefined,
    resumes ? step('the launcher comes back', resume(system)) : undefined,
    heard && launcher === 'committed' ? step('it runs here', runsHere(system)) : undefined,
    at !== undefined && at !== 'over' && over(launcher)
      ? step('the launcher is missed', tell(system, { type: 'launcherGone' }))
      : undefined,
    at === 'over' && over(launcher) ? step('closed', close(system)) : undefined,
  ];
}

/** What becomes of one that waits for another's run. */
function twinSteps(
  system: System,
  at: JobState['at'] | undefined,
): (Omit<Step, 'kind'> | undefined)[] {
  const { twin, replays } = system;
  return [
    twin && at === 'preparing'
      ? {
          name: "another's run serves it",
          // Written down before the launcher hears.
          to: tell(
            {
              ...system,
              ...{ twin: false, served: true, ended: true, placed: true },
              file: 'shared',
            },
            { type: 'shared', end },
          ),
        }
      : undefined,
    twin && at === 'preparing'
      ? { name: "another's run comes to nothing", to: { ...system, twin: false } }
      : undefined,
    replays && at === 'over'
      ? { name: 'it is told all of it', to: { ...toLauncher(system, 'exit'), replays: false } }
      : undefined,
  ];
}

const runsHere = (system: System): System => ({
  ...system,
  launcher: 'local',
  here: system.here + 1,
});

function reconnect(system: System): System {
  const next: System = { ...system, net: true };
  const { link } = next;
  const attaches =
    typeof link === 'object' && ['starting', 'running', 'returning'].includes(link.at);
  return attaches ? toAgent(next, 'attach') : next;
}

function newLink(system: System): System {
  const { file } = system;
  if (file === 'none' || file === 'kept') return { ...system, link: 'closed' };
  const lost = { outcome: { kind: 'lost', reason: '', kept: false } };
  const record = {
    ...(file === 'returned' ? { returned: {} } : {}),
    ...(file === 'done' ? { done: lost } : {}),
    ...(file === 'cancelled' ? { done: { outcome: { kind: 'cancelled' } } } : {}),
    ...(file === 'shared' ? { shared: { end } } : {}),
  };
  return { ...system, link: stateOf({ from: 'file', record: record as JobRecord }) };
}

/** The launcher is on a new connection and says whether it saw the start. */
function resume(system: System): System {
  const started = system.launcher === 'running';
  const next: System = { ...system, line: true };
  if (next.file === 'shared') return { ...next, replays: true };
  if (next.link === 'closed')
    return toLauncher(next, next.file === 'kept' || started ? 'lost' : 'local');
  const told = tell(next, { type: 'resumed', started });
  // What an earlier link had in place needs no second return.
  return told;
}

/** Everybody has heard of the end. */
function close(system: System): System {
  const { link } = system;
  if (typeof link !== 'object' || link.at !== 'over') return system;
  const { kind } = link.outcome;
  const finishes = kind === 'exited' || kind === 'signaled' || kind === 'execHere';
  const told = finishes ? toAgent(system, 'finish') : system;
  return { ...told, link: 'closed', file: system.file === 'kept' ? 'kept' : 'none' };
}

function late(system: System): (Omit<Step, 'kind'> | undefined)[] {
  const { link, agent, net, launcher, line } = system;
  const at = typeof link === 'object' ? link.at : undefined;
  const job = typeof agent === 'object' ? agent.at : undefined;
  const lost: JobEvent = { type: 'lost', reason: '' };
  return [
    !net && (at === 'starting' || at === 'running')
      ? { name: 'the agent stays away', to: tell(system, lost) }
      : undefined,
    !net && at === 'returning'
      ? {
          name: 'the return is given up',
          to: tell(system, { type: 'returnFailed', reason: '', kept: true }),
        }
      : undefined,
    at === 'returning' && net && job !== 'ended'
      ? {
          name: 'the return fails',
          to: tell(system, { type: 'returnFailed', reason: '', kept: false }),
        }
      : undefined,
    at === 'running'
      ? { name: 'its time is up', to: tell(system, { type: 'timeout', reason: '' }) }
      : undefined,
    // As after a stop of the whole machine, from which it wakes first.
    line && launcher === 'committed'
      ? { name: 'the link is silent for too long', to: { ...runsHere(system), line: false } }
      : undefined,
    at === 'recovering' && !line
      ? { name: 'the launcher stays away', to: tell(system, lost) }
      : undefined,
    // A link that took the job up asks its agent, which answers or is away.
    !line && system.toLauncher.length === 0 && (launcher === 'announced' || launcher === 'running')
      ? { name: 'the link stays away', to: { ...system, launcher: 'lost' } }
      : undefined,
    (!net || link === undefined || link === 'closed') && job !== undefined && job !== 'over'
      ? { name: 'the owner stays away', to: agentTakes(system, { type: 'kill' }) }
      : undefined,
  ];
}

function faults(system: System): (Omit<Step, 'kind'> | undefined)[] {
  if (system.faults >= MOST_FAULTS) return [];
  const broken = { ...system, faults: system.faults + 1 };
  const { link, agent, launcher } = system;
  return [
    system.net ? { name: 'CUT', to: cut(broken) } : undefined,
    link === undefined
      ? undefined
      : {
          name: 'LINK KILLED',
          // What it wrote to the launcher's socket is still read.
          to: { ...cut(broken), ...{ link: undefined, line: false, twin: false, replays: false } },
        },
    typeof link === 'object' && link.at !== 'over'
      ? { name: 'CANCELLED', to: tell(broken, { type: 'cancelled' }) }
      : undefined,
    agent === undefined
      ? undefined
      : {
          name: 'AGENT KILLED',
          // What it ran lives on until the next agent sweeps.
          to: { ...broken, net: false, toAgent: [], toLink: [], agent: undefined },
        },
    over(launcher)
      ? undefined
      : {
          name: 'LAUNCHER KILLED',
          to: { ...broken, launcher: 'dead', line: false, toLauncher: [] },
        },
  ];
}

/** Everything that may happen next. */
export function steps(system: System): Step[] {
  const of = (kind: Step['kind'], all: (Omit<Step, 'kind'> | undefined)[]): Step[] =>
    all.flatMap((each) => (each === undefined ? [] : [{ ...each, kind }]));
  return [...of('work', work(system)), ...of('late', late(system)), ...of('fault', faults(system))];
}
