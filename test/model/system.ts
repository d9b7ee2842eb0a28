/**
 * A launcher, a link, an agent and what is on its way between them, as one state machine whose parts are the real
 * transitions of the link (daemon/link/job-state.ts) and of the agent (src/agent/job.ts). The launcher is modelled after
 * the diagram in shims/launcher/job.h. Everything that may happen next is a named step, faults included.
 */
import { stateOf } from '../../daemon/link/job-origin.ts';
import {
  transition as linkTransition,
  type JobEffect,
  type JobEvent,
  type JobState,
} from '../../daemon/link/job-state.ts';
import {
  transition as agentTransition,
  type JobEvent as AgentEvent,
  type JobState as AgentState,
  type ToolEnd,
} from '../../src/agent/job.ts';
import type { JobRecord } from '../../daemon/journal/job-file.ts';

/** What the launcher is at; the last five are ends. */
export type Launcher =
  'committed' | 'announced' | 'running' | 'exit' | 'lost' | 'local' | 'again' | 'dead';
type ToLauncher = 'starting' | 'started' | 'exit' | 'lost' | 'local' | 'again';
type ToAgent = 'run' | 'attach' | 'kill' | 'finish';
type ToLink = 'started' | 'ended' | 'notStarted' | 'neverSeen' | 'unknownJob';

/** What the link wrote down. */
type File = 'none' | 'run' | 'returned' | 'done' | 'kept';

export type System = {
  readonly launcher: Launcher;
  /** Whether the launcher is on the line with the link that lives now. */
  readonly line: boolean;
  readonly toLauncher: readonly ToLauncher[];
  /** Undefined: no link lives. `closed`: it has forgotten the job. */
  readonly link: JobState | 'closed' | undefined;
  readonly file: File;
  /** Whether link and agent are connected. */
  readonly net: boolean;
  readonly toAgent: readonly ToAgent[];
  readonly toLink: readonly ToLink[];
  /** Undefined: no agent lives. */
  readonly agent: AgentState | 'none' | undefined;
  /** The agent remembers that the job had begun. */
  readonly begun: boolean;
  /** A process of the tool is alive on the worker. */
  readonly process: boolean;
  /** How often the tool was started there, and here. */
  readonly ran: number;
  readonly here: number;
  /** The tool came to its own end, and its results are in place. */
  readonly ended: boolean;
  readonly placed: boolean;
  readonly faults: number;
};

/** `kind`: `work` goes on by itself; `late` is a deadline that passes; `fault` breaks something. */
export type Step = {
  readonly name: string;
  readonly kind: 'work' | 'late' | 'fault';
  readonly to: System;
};

export const start: System = {
  launcher: 'committed',
  line: true,
  toLauncher: [],
  link: { at: 'preparing' },
  file: 'none',
  net: true,
  toAgent: [],
  toLink: [],
  agent: 'none',
  begun: false,
  process: false,
  ran: 0,
  here: 0,
  ended: false,
  placed: false,
  faults: 0,
};

const toolEnd: ToolEnd = {
  kind: 0,
  value: 0,
  till: 1n,
  userTime: 0n,
  systemTime: 0n,
  maxRss: 0n,
};
const end = { kind: 'exited', code: 0 } as const;
/** More than this many of a kind of fault add nothing new. */
const MOST_FAULTS = 2;

const over = (launcher: Launcher): boolean =>
  ['exit', 'lost', 'local', 'again', 'dead'].includes(launcher);

/** Nobody has anything left to do. */
export function isOver({ launcher, agent, process, link }: System): boolean {
  const rests = agent === 'none' || (typeof agent === 'object' && agent.at === 'over');
  return over(launcher) && rests && !process && link === 'closed';
}

function toLauncher(system: System, message: ToLauncher): System {
  return system.line ? { ...system, toLauncher: [...system.toLauncher, message] } : system;
}

function toAgent(system: System, message: ToAgent): System {
  return system.net ? { ...system, toAgent: [...system.toAgent, message] } : system;
}

function act(system: System, effect: JobEffect): System {
  const { link } = system;
  if (typeof link !== 'object') return system;
  switch (effect) {
    case 'announce':
      return toLauncher(system, 'starting');
    case 'run':
      return system.net
        ? toAgent(system, 'run')
        : tell(system, { type: 'refused', reason: '', learn: false, again: true, fault: true });
    case 'attach':
      return toAgent(system, 'attach');
    case 'sayStarted':
      return toLauncher(system, 'started');
    case 'sayEnd':
      return toLauncher(system, 'exit');
    case 'sayLocal':
      return toLauncher(
        system,
        link.at === 'over' && link.outcome.kind === 'local' && link.outcome.again
          ? 'again'
          : 'local',
      );
    case 'sayLost':
      return toLauncher(system, 'lost');
    case 'killThere':
      return toAgent(system, 'kill');
    case 'report': {
      const kept = link.at === 'over' && link.outcome.kind === 'lost' && link.outcome.kept;
      if (system.file === 'none') return system;
      return { ...system, file: kept ? 'kept' : system.file === 'returned' ? 'returned' : 'done' };
    }
    case 'prepare':
    case 'return':
    // Of a job that shares another's run: no part of this model.
    case 'replay':
      return system;
  }
}

/** The link takes an event. */
function tell(system: System, event: JobEvent): System {
  if (typeof system.link !== 'object') return system;
  const next = linkTransition(system.link, event);
  return next.effects.reduce(act, { ...system, link: next.state });
}

/** The agent takes an event; what it tells the link and does to processes follows from where it comes to. */
function agentTakes(system: System, event: AgentEvent): System {
  if (typeof system.agent !== 'object') return system;
  const before = system.agent;
  const agent = agentTransition(before, event);
  let next: System = { ...system, agent };
  const say = (message: ToLink): void => {
    if (next.net) next = { ...next, toLink: [...next.toLink, message] };
  };
  if (before.at === agent.at) return next;
  if (agent.at === 'starting') next = { ...next, begun: true };
  if (agent.at === 'running') {
    next = { ...next, ran: next.ran + 1, process: true };
    say('started');
  }
  if (agent.at === 'collecting') next = { ...next, process: false, ended: true };
  if (agent.at === 'ended') say('ended');
  if (agent.at === 'over') next = { ...next, process: false };
  if (agent.at === 'over' && agent.outcome === 'dropped') say('unknownJob');
  if (event.type === 'failed' && before.at !== 'ending') say('notStarted');
  return next;
}

function launcherStep(system: System): System {
  const [message, ...rest] = system.toLauncher;
  const next = { ...system, toLauncher: rest };
  switch (message) {
    case 'starting': {
      const announced: System = { ...next, launcher: 'announced' };
      if (system.launcher !== 'committed' && system.launcher !== 'announced') return next;
      return system.line ? tell(announced, { type: 'bound' }) : announced;
    }
    case 'started':
      return { ...next, launcher: 'running' };
    case 'local':
    case 'again':
      if (system.launcher === 'running') return { ...next, launcher: 'lost', line: false };
      return {
        ...next,
        launcher: message,
        line: false,
        here: next.here + (message === 'local' ? 1 : 0),
      };
    case 'lost':
      if (system.launcher === 'committed')
        return { ...next, launcher: 'local', line: false, here: next.here + 1 };
      return { ...next, launcher: 'lost', line: false };
    case 'exit':
      return { ...next, launcher: 'exit', line: false };
    default:
      return system;
  }
}

function linkHears(system: System): System {
  const [message, ...rest] = system.toLink;
  const next = { ...system, toLink: rest };
  switch (message) {
    case 'started':
      return tell(next, { type: 'started' });
    case 'ended':
      return tell(next, { type: 'ended', end });
    case 'notStarted':
    case 'neverSeen':
      return tell(next, { type: 'refused', reason: '', learn: false, again: true, fault: true });
    case 'unknownJob':
      return tell(next, { type: 'lost', reason: '' });
    default:
      return system;
  }
}

function agentHears(system: System): System {
  const [message, ...rest] = system.toAgent;
  const next = { ...system, toAgent: rest };
  const { agent } = system;
  const say = (...messages: ToLink[]): System => ({
    ...next,
    toLink: [...next.toLink, ...messages],
  });
  const lives = typeof agent === 'object' && agent.at !== 'over';
  switch (message) {
    case 'run':
      return lives ? say('notStarted') : { ...next, agent: { at: 'waiting' } };
    case 'attach':
      if (!lives) return say(system.begun ? 'unknownJob' : 'neverSeen');
      if (agent.at === 'ended') return say('started', 'ended');
      return agent.at === 'running' || agent.at === 'collecting' ? say('started') : next;
    case 'kill':
      return agentTakes(next, { type: 'kill' });
    case 'finish':
      return agentTakes(next, { type: 'finished' });
    default:
      return system;
  }
}

/** Both ends notice that their connection is gone. */
function cut(system: System): System {
  const next = { ...system, net: false, toAgent: [], toLink: [] };
  const waits = typeof next.agent === 'object' && next.agent.at === 'waiting';
  return waits ? agentTakes(next, { type: 'kill' }) : next;
}

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
    at === 'preparing'
      ? step('it is prepared', tell({ ...system, file: 'run' }, { type: 'prepared' }))
      : undefined,
    at === 'preparing'
      ? step(
          'it is refused',
          tell(system, { type: 'refused', reason: '', learn: false, again: false, fault: true }),
        )
      : undefined,
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
  const done = { outcome: { kind: 'lost', reason: '', kept: false } };
  const record = {
    ...(file === 'returned' ? { returned: {} } : {}),
    ...(file === 'done' ? { done } : {}),
  };
  return { ...system, link: stateOf({ from: 'file', record: record as JobRecord }) };
}

/** The launcher is on a new connection and says whether it saw the start. */
function resume(system: System): System {
  const started = system.launcher === 'running';
  const next: System = { ...system, line: true };
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
          to: { ...cut(broken), link: undefined, line: false },
        },
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
