/** A workstation as the agent knows it: what its hello said, and where it can be reached now. */
import type { AgentMessage } from '../protocol/agent.ts';
import type { HelloFacts } from '../protocol/facts.ts';
import { AgentClock } from './clock.ts';

/** Whoever is told about a job: a session, as long as it is connected. */
export type Listener = {
  readonly send: (message: AgentMessage) => void;
};

export class Owner {
  readonly workstation: string;
  hello: HelloFacts;
  clock: AgentClock;

  constructor(hello: HelloFacts) {
    this.workstation = hello.workstation;
    this.hello = hello;
    this.clock = new AgentClock(shiftOf(hello));
  }

  /** The newest word counts. */
  greet(hello: HelloFacts): void {
    this.hello = hello;
    this.clock = new AgentClock(shiftOf(hello));
  }
}

/** Slots that a workstation may see in use: as it says itself, else by the cores there are. */
export function slotsOf(hello: HelloFacts, cores: number): number {
  return hello.totalSlots ?? Math.max(1, Math.round(cores * (hello.slotsPerCore ?? 1)));
}

function shiftOf(hello: HelloFacts): bigint {
  return /^-?\d{1,18}$/.test(hello.clockShift) ? BigInt(hello.clockShift) : 0n;
}
