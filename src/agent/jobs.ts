/** All jobs of the agent, whoever wants them. */
import type { AgentMessage } from '../protocol/agent.ts';
import { ActiveJob, type JobNeeds } from './active-job.ts';
import { isBelow } from './caches.ts';
import { planJob, type PlannedRoot } from './job-plan.ts';
import type { Owner } from './owner.ts';
import type { Others } from './result.ts';
import type { Roots } from './roots.ts';
import type { Session } from './session.ts';

/** Jobs that are remembered when they are over: a link asks within its patience, or never. */
const MOST_PAST = 10_000;

export type JobsNeeds = Omit<JobNeeds, 'owner' | 'others' | 'over'> & {
  readonly roots: Roots;
  /** A job is over. */
  readonly ended: () => void;
};

export class Jobs {
  readonly #needs: JobsNeeds;
  readonly #jobs = new Map<string, ActiveJob>();
  /** Jobs that had started and are over, also those of an agent before this one; the newest last. */
  readonly #past: Set<string>;

  /** `past`: jobs that an agent before this one was running when it died. */
  constructor(needs: JobsNeeds, past: readonly string[]) {
    this.#needs = needs;
    this.#past = new Set(past);
  }

  get all(): ActiveJob[] {
    return [...this.#jobs.values()];
  }

  /** Whether a job that is not here any more had come so far that its tool may have run. */
  hadBegun(id: Buffer): boolean {
    return this.#past.has(id.toString('hex'));
  }

  /** The job, if it is one of this workstation's. */
  find(id: Buffer, owner: Owner): ActiveJob | undefined {
    const job = this.#jobs.get(id.toString('hex'));
    return job?.owner.workstation === owner.workstation ? job : undefined;
  }

  run(message: Extract<AgentMessage, { type: 'run' }>, session: Session): void {
    const { owner } = session;
    const id = Buffer.from(message.job);
    const known = this.#jobs.has(id.toString('hex'));
    const plan = planJob(message, owner.workstation, this.#needs.roots);
    if (!plan.ok || known) {
      const { kind, reason } = plan.ok
        ? ({ kind: 'internal', reason: 'there is a job of that id' } as const)
        : plan.failure;
      session.send({ type: 'notStarted', job: id, kind, reason });
      return;
    }
    const job = new ActiveJob(plan.value, session, {
      ...this.#needs,
      owner,
      others: (root) => this.#othersIn(root, id),
      over: (outcome) => {
        this.#jobs.delete(job.hex);
        if (outcome !== 'untouched') this.#remember(job.hex);
        this.#needs.ended();
      },
    });
    this.#jobs.set(job.hex, job);
    void job.begin();
  }

  #remember(hex: string): void {
    this.#past.add(hex);
    const [oldest] = this.#past;
    if (this.#past.size > MOST_PAST && oldest !== undefined) this.#past.delete(oldest);
  }

  #othersIn({ root, path }: PlannedRoot, id: Buffer): Others {
    const others = this.all.filter(
      (job) => !job.plan.id.equals(id) && job.plan.roots.some((each) => each.root === root),
    );
    const outputs = others.flatMap((job) => job.plan.spec.outputs ?? []);
    const results = others.flatMap((job) =>
      job.results.filter((result) => result.root === root && !result.settled),
    );
    return {
      pids: others.flatMap((job) => job.pid ?? []),
      outputs: new Set(
        outputs.filter((each) => isBelow(each, path)).map((each) => each.slice(path.length + 1)),
      ),
      claimed: new Map(
        results
          .flatMap(({ changes }) => changes)
          .map((change) => [change.path, change.op === 'put' ? change.entry : undefined]),
      ),
    };
  }

  killAll(): void {
    for (const job of this.all) job.kill();
  }
}
