/** `rch workers setup ID`: what a worker lacks, installed by its own package manager; the plan is shown first. */
import { fail, ok, type Result } from '../../base/result.ts';
import { loadConfig } from '../../config/load.ts';
import type { WorkerConfig } from '../../config/worker-schema.ts';
import { machineFacts } from '../../facts/machine.ts';
import { printable } from '../render/text.ts';
import { compilers } from '../render/worker.ts';
import { exitCodes, type Context, type Look, type Outcome } from '../report.ts';
import { agreed, looksAgain, performAll } from './carry-out.ts';
import { runScript } from './remote-shell.ts';
import { namesOf, planFor, presentBy, queryScript, sandboxed, type Plan } from './setup-plan.ts';
import { permitted, stepLines } from './step.ts';
import { survey, type Survey } from './survey.ts';
import { unknownWorker } from './unknown.ts';

/** What builds need of a machine beside the compilers that are named; those that are here are wanted there. */
const buildTools = [
  ...['gcc', 'g++', 'clang', 'make', 'cmake', 'ninja', 'meson', 'pkg-config'],
] as const;
/** Asked for besides. */
const helpers = ['tar', 'gzip', 'bwrap'] as const;

const QUERY_MS = 60_000;

type Target = {
  readonly worker: WorkerConfig;
  readonly names: readonly string[];
  /** Of the build tools, only those that are named. */
  readonly only: boolean;
};

async function look(context: Context, { worker, names }: Target): Promise<Result<Survey>> {
  const tools = [...new Set([...buildTools, ...helpers, ...names])];
  return survey(worker, tools, { layout: context.layout, connectMs: worker.sshTimeoutMs });
}

/** Which of `names` its package manager calls installed. */
async function installedOf(context: Context, told: Survey, target: Target): Promise<string[]> {
  const unknown = target.names.filter((name) => !Object.hasOwn(told.tools, name));
  const script = queryScript(told, unknown);
  if (script === undefined) return [];
  const ended = await runScript(target.worker, script, {
    layout: context.layout,
    timeoutMs: QUERY_MS,
  });
  const lines = ended.ok ? ended.value.out.split('\n') : [];
  return unknown.filter((name) => lines.includes(`installed ${name}`));
}

async function localTools({ layout, env }: Context): Promise<string[]> {
  const facts = await machineFacts(buildTools, { path: env['PATH'] ?? '', skip: [layout.shims] });
  return facts.tools.map((tool) => tool.name);
}

type Planned = { readonly plan: Plan; readonly before: Survey };

async function planOf(context: Context, target: Target): Promise<Result<Planned>> {
  const before = await look(context, target);
  if (!before.ok) return before;
  const plan = planFor(before.value, {
    tools: target.only ? [] : await localTools(context),
    named: target.names,
    installed: await installedOf(context, before.value, target),
  });
  return plan.ok ? ok({ plan: plan.value, before: before.value }) : plan;
}

const UNFIT = 'it can make namespaces neither by itself nor by bubblewrap';

function planText(id: string, { plan, before }: Planned): string {
  const { steps, there } = plan;
  const has = there.length === 0 ? [] : [`there already: ${there.join(' ')}`];
  const head =
    steps.length > 0
      ? `${id} (${before.system}):`
      : `${id} (${before.system}): nothing ${sandboxed(before) ? 'to do' : `that rch could do, but ${UNFIT}`}`;
  return [head, ...stepLines(steps, before), ...has].join('\n');
}

const facts = (id: string, { plan, before }: Planned, after: Survey | null): object => ({
  id,
  system: before.system,
  sudo: before.sudo,
  steps: plan.steps,
  there: plan.there,
  done: after !== null,
  sandbox: sandboxed(after ?? before),
  before: before.tools,
  after: after?.tools ?? null,
});

function changes(before: Survey, after: Survey, { colors }: Look): string[] {
  return Object.entries(after.tools)
    .filter(([name, version]) => before.tools[name] !== version)
    .map(([name, version]) => {
      const was = before.tools[name] === undefined ? 'not there' : printable(before.tools[name]);
      return `  ${name}: ${was} → ${colors.green(printable(version) || 'there')}`;
    });
}

/** What is there after all went through; fails when something is still missing. */
async function verified(context: Context, target: Target, plan: Plan): Promise<Result<Survey>> {
  const after = await look(context, target);
  if (!after.ok) return after;
  const installed = await installedOf(context, after.value, target);
  const missing = plan.wanted.filter(
    (name) => !presentBy(after.value, name) && !installed.includes(name),
  );
  return missing.length === 0
    ? after
    : fail(`it went through, but ${target.worker.id} still lacks ${missing.join(', ')}`);
}

async function carryOut(context: Context, target: Target, planned: Planned): Promise<Outcome> {
  const { id } = target.worker;
  const { plan, before } = planned;
  const done = await performAll(context, target.worker, plan.steps, before.sudo);
  if (!done.ok) return done;
  const after = await verified(context, target, plan);
  if (!after.ok) return after;
  await looksAgain(context, id, compilers);
  const fit = sandboxed(after.value);
  return ok({
    facts: facts(id, planned, after.value),
    text: (how) =>
      [
        fit ? how.colors.green(`${id} is set up`) : how.colors.yellow(`${id}: ${UNFIT}`),
        ...changes(before, after.value, how),
        `next: rch workers probe ${id}, rch doctor workers`,
      ].join('\n'),
    exit: fit ? exitCodes.done : exitCodes.failed,
  });
}

export type SetupOptions = {
  /** Tools or packages, separated by commas. */
  readonly with: string | undefined;
  readonly only: boolean;
  readonly dryRun: boolean;
  readonly yes: boolean;
};

function targetOf(
  context: Context,
  id: string,
  { with: named, only }: SetupOptions,
): Result<Target> {
  const config = loadConfig(context.layout, context.env);
  if (!config.ok) return config;
  const { workers } = config.value.config;
  const worker = workers.find((each) => each.id === id);
  if (worker === undefined)
    return unknownWorker(
      id,
      workers.map((each) => each.id),
    );
  const names = namesOf(named);
  return names.ok ? ok({ worker, names: names.value, only }) : names;
}

export async function setupWorker(
  context: Context,
  id: string,
  options: SetupOptions,
): Promise<Outcome> {
  const target = targetOf(context, id, options);
  if (!target.ok) return target;
  const planned = await planOf(context, target.value);
  if (!planned.ok) return planned;
  const { plan, before } = planned.value;
  const shown = planText(id, planned.value);
  const may = permitted(target.value.worker, plan.steps, before);
  if (plan.steps.length === 0 || options.dryRun)
    return ok({
      facts: facts(id, planned.value, null),
      text: () => (may.ok ? shown : `${shown}\nbut ${may.failure.reason}`),
      exit: plan.steps.length > 0 || sandboxed(before) ? exitCodes.done : exitCodes.failed,
    });
  if (!may.ok) {
    context.note(shown);
    return may;
  }
  if (options.yes) context.note(shown);
  else {
    const yes = await agreed(context, shown);
    if (!yes.ok) return yes;
  }
  return carryOut(context, target.value, planned.value);
}
