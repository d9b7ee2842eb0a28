/** `rch workers sync`: brings toolchains to workers ahead of the first build, and the C and C++ tools there to one version. */
import { fail, ok, type Result } from '../../base/result.ts';
import type { DaemonClient } from '../../client/daemon-client.ts';
import { ensureDaemon } from '../../client/daemon-process.ts';
import { loadConfig } from '../../config/load.ts';
import type { WorkerConfig } from '../../config/worker-schema.ts';
import { loadToolchain, type ToolchainFile } from '../../config/toolchain-schema.ts';
import { machineFacts } from '../../facts/machine.ts';
import type { ToolFacts } from '../../protocol/facts.ts';
import { progressEvent } from '../../protocol/methods.ts';
import { compilers } from '../render/worker.ts';
import { exitCodes, type Context, type Outcome } from '../report.ts';
import { agreed, performAll } from './carry-out.ts';
import { listScript, ownersOf, parseList } from './databases.ts';
import { managerOf } from './managers.ts';
import { meantWorkers, type Named } from './meant.ts';
import { runScript } from './remote-shell.ts';
import { rustHere, rustupQuery, rustupStep, ship, type RustHere } from './rust.ts';
import { permitted, stepLines, type Step } from './step.ts';
import { survey, type Survey } from './survey.ts';
import { cppPlan, headerPackages, lockedTools, type CppPlan, type Here } from './sync-plan.ts';
import { reportText, rowsOf, type Report } from './sync-report.ts';

const QUERY_MS = 60_000;
/** ms for a worker to connect, an upload of the agent included. */
const PROBE_MS = 600_000;

export type SyncOptions = Named & {
  /** Rust alone, or C and C++ alone; both when neither is set. */
  readonly rust: boolean;
  readonly cpp: boolean;
  /** By the rustup of the worker, instead of shipping. */
  readonly rustup: boolean;
  readonly dryRun: boolean;
  readonly yes: boolean;
};

/** What is the same for every worker. */
type Common = {
  readonly context: Context;
  readonly client: DaemonClient;
  readonly options: SyncOptions;
  readonly here: Here;
  /** Undefined: Rust is left alone. */
  readonly rust: RustHere | undefined;
  readonly locks: ToolchainFile;
};

type Planned = {
  readonly worker: WorkerConfig;
  readonly shell: Survey;
  readonly before: readonly ToolFacts[];
  readonly cpp: CppPlan;
  readonly rustup: readonly Step[];
  /** Of the worker's own rustup. */
  readonly rustBefore: string;
};

const nothing: CppPlan = { steps: [], drifting: [], notes: [] };

const wants = ({ rust, cpp }: SyncOptions): { rust: boolean; cpp: boolean } => ({
  rust: rust || !cpp,
  cpp: cpp || !rust,
});

async function toolsOf(
  { client, context, here, locks }: Common,
  id: string,
): Promise<Result<ToolFacts[]>> {
  const names = [
    ...new Set([...compilers, ...lockedTools(locks), ...here.tools.map(({ name }) => name)]),
  ];
  const status = await client.call(
    'probe',
    { worker: id, tools: names },
    {
      timeoutMs: PROBE_MS,
      onEvent: (event) => {
        const progress = progressEvent.safeParse(event);
        if (progress.success) context.note(progress.data.text);
      },
    },
  );
  return status.ok ? ok(status.value.facts?.tools ?? []) : status;
}

/** What a line for sh prints there; empty where it fails. */
async function printed({ context }: Common, worker: WorkerConfig, line: string): Promise<string> {
  const ended = await runScript(worker, line, { layout: context.layout, timeoutMs: QUERY_MS });
  return ended.ok ? ended.value.out : '';
}

async function packagesThere(
  common: Common,
  worker: WorkerConfig,
  { managers }: Survey,
): Promise<Readonly<Record<string, string>>> {
  const [name] = managers;
  const database = name === undefined ? 'none' : managerOf(name).database;
  const script = listScript(database);
  return script === undefined ? {} : parseList(database, await printed(common, worker, script));
}

async function planOf(common: Common, worker: WorkerConfig): Promise<Result<Planned>> {
  const { context, here, locks, options, rust } = common;
  const before = await toolsOf(common, worker.id);
  if (!before.ok) return before;
  const shell = await survey(worker, [], {
    layout: context.layout,
    connectMs: worker.sshTimeoutMs,
  });
  if (!shell.ok) return shell;
  const { managers } = shell.value;
  const byRustup = options.rustup && rust !== undefined;
  const rustBefore = byRustup ? (await printed(common, worker, rustupQuery(rust.name))).trim() : '';
  const packages = wants(options).cpp ? await packagesThere(common, worker, shell.value) : {};
  const there = { tools: before.value, packages, managers };
  return ok({
    worker,
    shell: shell.value,
    before: before.value,
    cpp: wants(options).cpp ? cppPlan({ here, there, locks }) : nothing,
    rustup: byRustup && rustBefore !== rust.version ? [rustupStep(rust)] : [],
    rustBefore,
  });
}

const stepsOf = ({ cpp, rustup }: Planned): readonly Step[] => [...cpp.steps, ...rustup];

function planText(planned: Planned, { rust, options }: Common): string {
  const { worker, shell, cpp } = planned;
  const steps = stepsOf(planned);
  const may = permitted(worker, steps, shell);
  const shipped =
    rust === undefined || options.rustup
      ? []
      : [`Rust: ${rust.version} is brought there, as far as it is not`];
  const lines = [
    ...stepLines(steps, shell),
    ...shipped,
    ...cpp.notes.map((note) => `note: ${note}`),
    ...(may.ok ? [] : [`but ${may.failure.reason}`]),
  ];
  return lines.length === 0
    ? `${worker.id} (${shell.system}): nothing to do`
    : [`${worker.id} (${shell.system}):`, ...lines].join('\n');
}

const idle = (planned: Planned, report: Partial<Report>): Report => ({
  id: planned.worker.id,
  system: planned.shell.system,
  steps: stepsOf(planned),
  notes: planned.cpp.notes,
  tools: [],
  rust: null,
  error: null,
  ...report,
});

async function rustOf(common: Common, planned: Planned): Promise<Result<Report['rust']>> {
  const { context, client, rust, options } = common;
  if (rust === undefined) return ok(null);
  const { version, name } = rust;
  if (options.rustup) {
    const after = (await printed(common, planned.worker, rustupQuery(name))).trim();
    const { rustBefore: before } = planned;
    if (after === '')
      return fail(`its rustup has no ${name}`, `rch workers sync ${planned.worker.id} --rust`);
    return ok({ by: 'rustup', toolchain: name, version, before, after, sent: 0, ms: 0 });
  }
  context.note(`${planned.worker.id}: ${version} …`);
  const shipped = await ship(context, client, planned.worker.id, rust);
  if (!shipped.ok) return shipped;
  const toolchain = rust.toolchain ?? name;
  return ok({ by: 'shipping', toolchain, version, before: '', after: version, ...shipped.value });
}

/** Does what was planned for one worker, and looks at what came of it. */
async function carryOut(common: Common, planned: Planned): Promise<Report> {
  const { context, here } = common;
  const { worker, shell, before, cpp } = planned;
  const steps = stepsOf(planned);
  const may = permitted(worker, steps, shell);
  const done = may.ok ? await performAll(context, worker, steps, shell.sudo) : may;
  // What is shipped asks for nothing that packages bring.
  const rust = await rustOf(common, planned);
  const changed = cpp.steps.length > 0;
  const after = changed ? await toolsOf(common, worker.id) : ok(before);
  const failure = [done, rust, after].find((each) => !each.ok);
  return idle(planned, {
    tools: rowsOf(
      { here: here.tools, before, after: after.ok ? after.value : before },
      cpp.drifting,
    ),
    rust: rust.ok ? (rust.value ?? null) : null,
    error: failure?.ok === false ? failure.failure : null,
  });
}

async function commonOf(
  context: Context,
  client: DaemonClient,
  options: SyncOptions,
): Promise<Result<Common>> {
  const locks = loadToolchain(context.layout);
  if (!locks.ok) return locks;
  const rust = wants(options).rust
    ? await rustHere(context, client, locks.value.rust)
    : ok(undefined);
  if (!rust.ok) return rust;
  if (wants(options).rust && rust.value === undefined) {
    if (!wants(options).cpp || options.rustup)
      return fail('there is no Rust here that could be brought to workers', 'https://rustup.rs');
    context.note('there is no Rust here: only C and C++ tools are looked at');
  }
  const path = { path: context.env['PATH'] ?? '', skip: [context.layout.shims] };
  const { tools, packages, packageManager } = await machineFacts(
    [...compilers, ...lockedTools(locks.value)],
    path,
  );
  const owners = await ownersOf(tools, headerPackages(packages), packageManager);
  const here = { tools, packages, database: packageManager, owners };
  return ok({ context, client, options, here, rust: rust.value, locks: locks.value });
}

/** Shows what is going to be done, and has it agreed to where it installs something. */
async function settle(common: Common, plans: readonly Planned[]): Promise<Result<undefined>> {
  const { context, options } = common;
  const shown = plans.map((planned) => planText(planned, common)).join('\n\n');
  const asks = plans.some((planned) => stepsOf(planned).length > 0);
  if (asks && !options.yes) return agreed(context, shown);
  if (shown !== '') context.note(shown);
  return ok(undefined);
}

async function syncAll(common: Common, workers: readonly WorkerConfig[]): Promise<Outcome> {
  const { options } = common;
  const asked = await Promise.all(
    workers.map(async (worker) => ({ worker, planned: await planOf(common, worker) })),
  );
  const plans = asked.flatMap(({ planned }) => (planned.ok ? [planned.value] : []));
  if (!options.dryRun) {
    const settled = await settle(common, plans);
    if (!settled.ok) return settled;
  }
  const reports: Report[] = [];
  for (const { worker, planned } of asked) {
    if (!planned.ok)
      reports.push({
        ...{ id: worker.id, system: '', steps: [], notes: [], tools: [], rust: null },
        error: planned.failure,
      });
    // One after the other: they share this machine's way out.
    else
      reports.push(
        options.dryRun ? idle(planned.value, {}) : await carryOut(common, planned.value),
      );
  }
  const good = reports.every(
    ({ error, tools }) => error === null && (options.dryRun || tools.every(({ same }) => same)),
  );
  return ok({
    facts: reports,
    text: (look) =>
      options.dryRun
        ? [
            ...plans.map((planned) => planText(planned, common)),
            ...reports.filter(({ error }) => error !== null).map((each) => reportText(each, look)),
          ].join('\n\n')
        : reports.map((each) => reportText(each, look)).join('\n'),
    exit: good ? exitCodes.done : exitCodes.failed,
  });
}

export async function syncWorkers(context: Context, options: SyncOptions): Promise<Outcome> {
  const config = loadConfig(context.layout, context.env);
  if (!config.ok) return config;
  const meant = meantWorkers(options, config.value.config.workers, 'rch workers sync');
  if (!meant.ok) return meant;
  const client = await ensureDaemon(context.layout);
  if (!client.ok) return client;
  try {
    const common = await commonOf(context, client.value, options);
    return common.ok ? await syncAll(common.value, meant.value) : common;
  } finally {
    client.value.close();
  }
}
