/** The hooks of the user's around one job. */
import type { PlannedJob } from '../../src/protocol/ipc.ts';
import { runHook, type HookName } from '../exec/user-hook.ts';
import type { JobOrigin } from './job-origin.ts';
import type { End } from './job-state.ts';

/** How a command ended, for RCH_EXIT. */
function endText(end: Exclude<End, { kind: 'execHere' }>): string {
  return end.kind === 'exited' ? String(end.code) : `SIG${end.signal}`;
}

const quote = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

export class JobHooks {
  readonly #origin: JobOrigin;
  readonly #worker: string;
  readonly #signal: AbortSignal;
  readonly #troubles: string[] = [];

  /** `signal` ends a hook that runs. */
  constructor(origin: JobOrigin, worker: string, signal: AbortSignal) {
    this.#origin = origin;
    this.#worker = worker;
    this.#signal = signal;
  }

  /** What did not end well, with the hook's name. */
  get troubles(): readonly string[] {
    return this.#troubles;
  }

  /** The plan of the job after pre_transfer: what it changed is to be seen, so a look from before it is of no use. */
  async beforeTransfer(plan: PlannedJob): Promise<PlannedJob> {
    const ran = await this.#run('pre_transfer', plan.hooks.preTransfer);
    return ran ? { ...plan, look: '' } : plan;
  }

  /** All results are in place. */
  async afterReturn(end: End): Promise<void> {
    const origin = this.#origin;
    const plan = origin.from === 'front' ? origin.plan : origin.record.run.plan;
    const facts = end.kind === 'execHere' ? {} : { EXIT: endText(end) };
    await this.#run('post_compile', plan.hooks.postCompile, facts);
  }

  /** Runs one, where there is one; resolves to whether there was. */
  async #run(
    hook: HookName,
    command: string,
    more: Readonly<Record<string, string>> = {},
  ): Promise<boolean> {
    if (command.trim() === '') return false;
    const origin = this.#origin;
    const plan = origin.from === 'front' ? origin.plan : origin.record.run.plan;
    const trouble = await runHook({
      hook,
      command,
      cwd: plan.hooks.folder,
      env: this.#environment(),
      facts: {
        JOB: plan.job,
        CWD: plan.cwd,
        PROJECT: plan.hooks.folder,
        WORKER: this.#worker,
        ...(origin.from === 'front' ? { COMMAND: origin.plan.argv.map(quote).join(' ') } : {}),
        ...more,
      },
      limit: plan.hooks.limit,
      signal: this.#signal,
    });
    if (trouble !== '') this.#troubles.push(`${hook}: ${trouble}`);
    return true;
  }

  /** The tool's own; of a job that another link began, which is not written down anywhere, that of this process. */
  #environment(): Map<string, string> {
    const origin = this.#origin;
    if (origin.from === 'front')
      return new Map(
        origin.plan.env.map((entry) => {
          const at = entry.indexOf('=', 1);
          return [entry.slice(0, at), entry.slice(at + 1)];
        }),
      );
    const own = new Map<string, string>();
    for (const [name, value = ''] of Object.entries(process.env))
      own.set(name, Buffer.from(value, 'utf8').toString('latin1'));
    return own;
  }
}
