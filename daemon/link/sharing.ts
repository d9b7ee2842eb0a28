/** What a job is to others with the same command, and what its own caller may do while they share its run. */
import type { JobOutcome, PlannedJob } from '../../src/protocol/ipc.ts';
import { EndKind } from '../../src/protocol/shim.ts';
import type { AgentMessage } from '../../src/protocol/agent.ts';
import type { HeldRoot } from '../sync/prepare.ts';
import type { Caller } from './caller.ts';
import type { Relay } from './relay.ts';
import { Reusable } from './reusable.ts';
import { Lead, type Shared, type Twins } from './twins.ts';

type JobMessage = Extract<AgentMessage, { job: Buffer }>;

/** signal(7), the same on every Linux that Node runs on. */
const SIGCONT = 18;
const SIGTSTP = 20;

export type SharingNeeds = {
  readonly twins: Twins;
  readonly caller: Caller;
  readonly relay: Relay;
  /** Undefined for a job that a link before this one began: its output was not recorded. */
  readonly plan: PlannedJob | undefined;
  /** The front is told which job this one waits for; '' for none any more. */
  readonly joined: (job: string) => void;
  /** Its own caller had left the run to others, and the last of these has gone. */
  readonly deserted: () => void;
};

export class Sharing {
  readonly #needs: SharingNeeds;
  readonly #lead: Lead;
  #roots: readonly HeldRoot[] = [];
  /** What is to be kept once it is settled, and who is to be told of it. */
  #shared: Shared | undefined;
  #kept: () => void = () => undefined;
  /** Its own caller is gone while the run goes on for others: somebody has to take its output. */
  #left = false;
  #locked = false;

  constructor(job: string, needs: SharingNeeds) {
    this.#needs = needs;
    this.#lead = new Lead(job, needs.plan?.key ?? '', () => {
      if (this.#left) needs.deserted();
    });
    needs.twins.add(this.#lead);
  }

  /** The launcher is here; what it waits for elsewhere is undefined when the job has to run. */
  async join(signal: AbortSignal): Promise<Shared | undefined> {
    const { twins, joined } = this.#needs;
    this.#lead.committed();
    const inherit = (): void => {
      void this.#lock(signal);
    };
    const shared = await twins.join(this.#lead, { told: joined, inherit, signal });
    if (shared === undefined) await this.#lock(signal);
    return shared;
  }

  /** It was sent after another's run, so its launcher holds none of the locks that the tool would: from now on it does. */
  async #lock(signal: AbortSignal): Promise<void> {
    const { caller, plan } = this.#needs;
    if (plan === undefined || plan.locks.length === 0 || this.#locked || signal.aborted) return;
    this.#locked = true;
    await caller.lock(plan.locks, signal);
  }

  prepared(roots: readonly HeldRoot[]): void {
    this.#roots = roots;
    this.#lead.prepared(roots);
  }

  /** Takes what the launcher said to the tool; true when that must not reach it, since others wait for its end. */
  heard(message: JobMessage): boolean {
    const lead = this.#lead;
    const meddles =
      message.type === 'signal' || message.type === 'outClosed' || message.type === 'stdin';
    if (!meddles) return false;
    if (!lead.followed) {
      lead.spoil();
      return false;
    }
    if (message.type === 'signal') this.#signalled(message.signo);
    return true;
  }

  /** As the tool would have taken it: it stops, or ends, for this caller alone. */
  #signalled(signo: number): void {
    const { caller } = this.#needs;
    if (signo === SIGCONT) return;
    if (signo === SIGTSTP) caller.send({ type: 'stopped', signo });
    else {
      this.#leave();
      caller.finish({ type: 'exit', kind: EndKind.signaled, value: signo });
    }
  }

  /** The launcher is gone; true when the run goes on for others. */
  callerGone(): boolean {
    if (!this.#lead.followed) return false;
    this.#leave();
    return true;
  }

  /** The tool wrote something. */
  wrote({ stream, offset, data }: Extract<AgentMessage, { type: 'out' }>): void {
    this.#lead.wrote({ stream, offset, data });
    if (this.#left) this.#take(stream);
  }

  #leave(): void {
    this.#left = true;
    this.#lead.bequeath();
    for (const stream of this.#lead.recording.ends.keys()) this.#take(stream);
  }

  /** Acknowledges in the place of the launcher: what was written is recorded for the others. */
  #take(stream: number): void {
    const { relay } = this.#needs;
    relay.acknowledge(stream, this.#lead.recording.ends.get(stream) ?? 0n);
  }

  ended(): void {
    this.#lead.ended();
  }

  /** The job is over: those who waited get what it came to. */
  over(outcome: JobOutcome): void {
    const { twins, relay, plan } = this.#needs;
    twins.remove(this.#lead);
    const ran =
      outcome.kind === 'exited' || outcome.kind === 'signaled' || outcome.kind === 'execHere';
    // Whom another's run served has nothing of its own to share.
    const shared = this.#lead.over(
      ran && this.#roots.length > 0 ? { end: outcome, program: relay.program } : undefined,
    );
    // Who edits while a tool runs has another tree than the one it saw.
    if (shared === undefined || plan === undefined || plan.reuseMs === 0) return;
    if (this.#roots.some(({ edits }) => edits.paths.size > 0)) return;
    this.#shared = shared;
    this.#kept = twins.settling(plan.key);
  }

  /** The trees are free again and agreed on: the result may answer once more, where that was asked for. */
  settled(): void {
    const { twins, plan } = this.#needs;
    const shared = this.#shared;
    this.#shared = undefined;
    if (shared === undefined || plan === undefined) return;
    const roots = this.#roots.map(({ root }) => root);
    twins.keep(plan.key, new Reusable(shared, roots), plan.reuseMs);
    this.#kept();
  }
}
