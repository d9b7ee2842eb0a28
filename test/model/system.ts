/**
 * A launcher, a link, an agent and what is on its way between them, as one state machine whose parts are the real
 * transitions of the link (daemon/link/job-state.ts) and of the agent (src/agent/job.ts). The launcher is modelled after
 * the diagram in shims/launcher/job.h. What may happen next is in steps.ts.
 */
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

/** What the launcher is at; the last six are ends. `interrupted`: by `rch cancel`. */
export type Launcher =
  | 'committed'
  | 'announced'
  | 'running'
  | 'exit'
  | 'interrupted'
  | 'lost'
  | 'local'
  | 'again'
  | 'dead';
type ToLauncher = 'starting' | 'started' | 'exit' | 'interrupted' | 'lost' | 'local' | 'again';
type ToAgent = 'run' | 'attach' | 'kill' | 'finish';
type ToLink = 'started' | 'ended' | 'notStarted' | 'neverSeen' | 'unknownJob';

/** What the link wrote down. */
type File = 'none' | 'run' | 'returned' | 'done' | 'kept' | 'shared' | 'cancelled';

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
  /** Another job with the same command is at work: this one waits for what that comes to. */
  readonly twin: boolean;
  /** The run of the other served it. */
  readonly served: boolean;
  /** The launcher has been told the start of another's run, and not yet all of it. */
  readonly replays: boolean;
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
  twin: false,
  served: false,
  replays: false,
  faults: 0,
};

export const toolEnd: ToolEnd = {
  kind: 0,
  value: 0,
  till: 1n,
  userTime: 0n,
  systemTime: 0n,
  maxRss: 0n,
};
export const end = { kind: 'exited', code: 0 } as const;
export const over = (launcher: Launcher): boolean =>
  ['exit', 'interrupted', 'lost', 'local', 'again', 'dead'].includes(launcher);

/** Nobody has anything left to do. */
export function isOver({ launcher, agent, process, link }: System): boolean {
  const rests = agent === 'none' || (typeof agent === 'object' && agent.at === 'over');
  return over(launcher) && rests && !process && link === 'closed';
}

export function toLauncher(system: System, message: ToLauncher): System {
  return system.line ? { ...system, toLauncher: [...system.toLauncher, message] } : system;
}

export function toAgent(system: System, message: ToAgent): System {
  return system.net ? { ...system, toAgent: [...system.toAgent, message] } : system;
}

/** What a later link finds of a job that is over. */
function fileAfter(file: File, outcome: (JobState & { at: 'over' })['outcome']): File {
  if (file === 'returned' || file === 'shared') return file;
  if (outcome.kind === 'cancelled') return 'cancelled';
  return outcome.kind === 'lost' && outcome.kept ? 'kept' : 'done';
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
      return toLauncher(
        system,
        link.at === 'over' && link.outcome.kind === 'cancelled' ? 'interrupted' : 'exit',
      );
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
      if (system.file === 'none' || link.at !== 'over') return system;
      return { ...system, file: fileAfter(system.file, link.outcome) };
    }
    case 'replay':
      return { ...toLauncher(system, 'started'), replays: true };
    case 'prepare':
    case 'return':
    case 'hurry':
      return system;
  }
}

/** The link takes an event. */
export function tell(system: System, event: JobEvent): System {
  if (typeof system.link !== 'object') return system;
  const next = linkTransition(system.link, event);
  return next.effects.reduce(act, { ...system, link: next.state });
}

/** The agent takes an event; what it tells the link and does to processes follows from where it comes to. */
export function agentTakes(system: System, event: AgentEvent): System {
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

export function launcherStep(system: System): System {
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
    case 'interrupted':
      // Before it heard of the start an end means nothing to it.
      return system.launcher === 'running' ? { ...next, launcher: message, line: false } : next;
    default:
      return system;
  }
}

export function linkHears(system: System): System {
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

export function agentHears(system: System): System {
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
export function cut(system: System): System {
  const next = { ...system, net: false, toAgent: [], toLink: [] };
  const waits = typeof next.agent === 'object' && next.agent.at === 'waiting';
  return waits ? agentTakes(next, { type: 'kill' }) : next;
}
