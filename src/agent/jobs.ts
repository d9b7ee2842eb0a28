/** All jobs of the agent, whoever wants them. */
import type { AgentMessage } from '../protocol/agent.ts';
import { ActiveJob, type JobNeeds } from './active-job.ts';
import { isBelow } from './caches.ts';
import { JOB_BYTES, planJob, type PlannedRoot } from './job-plan.ts';
import type { Owner } from './owner.ts';
import type { Fate, Past } from './past.ts';
import type { Others } from './result.ts';
import type { Roots } from './roots.ts';
import type { Session } from './session.ts';

export type JobsNeeds = Omit<JobNeeds, 'owner' | 'asTold' | 'others' | 'begins' | 'over'> & {
  readonly roots: Roots;
  readonly past: Past;
  readonly asTold: (session: Session) => Promise<boolean>;
  /** A job is over. */
  readonly ended: () => void;
};

export class Jobs {
  readonly #needs: JobsNeeds;
  readonly #jobs = new Map<string, ActiveJob>();

  constructor(needs: JobsNeeds) {
    this.#needs = needs;
  }

  get all(): ActiveJob[] {
    return [...this.#jobs.values()];
  }

  /**
   * Whether the tool of a job that is not here may have run, which decides what becomes of the command. What has not
   * begun by now never will: its `run` may still be on its way, on a connection that somebody else took the place of.
   */
  settleFate(id: Buffer): Fate {
    const hex = id.toString('hex');
    // Another workstation's.
    if (this.#jobs.has(hex)) return 'never';
    const { past } = this.#needs;
    const fate = past.of(hex);
    if (fate === undefined && id.length === JOB_BYTES) past.never(hex);
    return fate ?? 'never';
  }

  /** The job, if it is one of this workstation's. */
  find(id: Buffer, owner: Owner): ActiveJob | undefined {
    const job = this.#jobs.get(id.toString('hex'));
    return job?.owner.workstation === owner.workstation ? job : undefined;
  }

  run(message: Extract<AgentMessage, { type: 'run' }>, session: Session): void {
    const { owner } = session;
    const id = Buffer.from(message.job);
    const hex = id.toString('hex');
    const known = this.#jobs.has(hex) || this.#needs.past.of(hex) !== undefined;
    const plan = planJob(message, owner.workstation, this.#needs.roots);
    if (!plan.ok || known) {
      const { kind, reason } = plan.ok
        ? ({ kind: 'internal', reason: 'that job was here, or was given up' } as const)
        : plan.failure;
      session.send({ type: 'notStarted', job: id, kind, reason });
      return;
    }
    const job = new ActiveJob(plan.value, session, {
      ...this.#needs,
      owner,
      asTold: () => this.#needs.asTold(session),
      others: (root) => this.#othersIn(root, id),
      begins: () => {
        this.#needs.past.begun(hex);
      },
      over: (outcome) => {
        this.#jobs.delete(hex);
        if (outcome === 'untouched') this.#needs.past.never(hex);
        this.#needs.ended();
      },
    });
    this.#jobs.set(hex, job);
    void job.begin();
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
