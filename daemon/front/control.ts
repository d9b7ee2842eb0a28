/** The methods of src/protocol/methods.ts. */
import { fail, messageOf, ok, type Result } from '../../src/base/result.ts';
import { CONTROL_PROTOCOL, type ControlMessage } from '../../src/protocol/control.ts';
import {
  controlMethods,
  historyRecord,
  type ControlMethod,
  type HistoryRecord,
  type ParamsOf,
  type ProgressEvent,
  type ReplyOf,
} from '../../src/protocol/methods.ts';
import type { WatchEvent } from '../../src/protocol/watch.ts';
import type { StreamKind } from '../../src/protocol/shim.ts';
import type { History } from '../journal/history.ts';
import type { Learned } from '../journal/learned.ts';
import type { JournalLine } from '../journal/record.ts';
import { classifyLine } from '../classify/line/line.ts';
import { cancel } from './cancelling.ts';
import type { DashboardProcess } from './dashboard-process.ts';
import type { Decider } from './decider.ts';
import { below, matcher, slowest, type HistoryQuery } from './history-query.ts';
import { environmentOf } from './request.ts';
import type { Mandate } from '../lifecycle/health.ts';
import type { StopKind } from './front.ts';
import { toolchainFor } from './toolchain.ts';
import type { Watchers } from './watchers.ts';
import { jobsOf, problemsOf, statusOf, workerStatus, type StatusParts } from './status.ts';

export type ControlParts = StatusParts & {
  readonly history: History;
  readonly learned: Learned;
  readonly decider: Decider;
  readonly watchers: Watchers;
  readonly dashboard: DashboardProcess;
  /** Begins to stop. */
  readonly stop: (how: StopKind) => void;
  /** ms that running jobs get by such a stop. */
  readonly stopMs: (how: StopKind) => number;
};

type Caller = {
  readonly signal: AbortSignal;
  readonly progress: (event: ProgressEvent | WatchEvent) => void;
  readonly unread: () => number;
};
type Run<M extends ControlMethod> = (
  params: ParamsOf<M>,
  caller: Caller,
) => Result<ReplyOf<M>> | Promise<Result<ReplyOf<M>>>;
type Handled = Result<unknown> | Promise<Result<unknown>>;
type Methods = {
  readonly [M in ControlMethod]: (given: unknown, caller: Caller) => Handled;
};

/** `run` behind the check of its parameters. */
function checked<M extends ControlMethod>(method: M, run: Run<M>): Methods[ControlMethod] {
  return (given, caller) => {
    const params = controlMethods[method].params.safeParse(given);
    if (params.success) return run(params.data as ParamsOf<M>, caller);
    const issue = params.error.issues[0];
    return fail(`${method}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not allowed'}`);
  };
}

/** ms for a probed worker to connect, a first upload of the agent included. */
const CONNECT_PATIENCE = 600_000;
const PROBE_DEADLINE = 60_000;

/** A record without what only the daemon needs. */
const publicRecord = (line: JournalLine): HistoryRecord => historyRecord.parse(line);

const closedStream = { kind: 0 satisfies StreamKind, flags: 0, dev: 0n, ino: 0n } as const;

export class Control {
  readonly #parts: ControlParts;
  readonly #methods: Methods;

  constructor(parts: ControlParts) {
    this.#parts = parts;
    this.#methods = {
      status: checked('status', () => ok(statusOf(parts))),
      history: checked('history', async (query) => ok(await this.#history(query))),
      why: checked('why', (params) => this.#why(params)),
      workers: checked('workers', () =>
        ok(parts.fleet.all().map((worker) => workerStatus(worker, parts))),
      ),
      order: checked('order', ({ worker, mandate }) => this.#order(worker, mandate)),
      probe: checked('probe', (params, caller) => this.#probe(params, caller)),
      reload: checked('reload', () => ok({ problems: problemsOf(parts.settings.reload()) })),
      stop: checked('stop', ({ now, handover }) => {
        const how = now === true ? 'now' : handover === true ? 'handover' : 'drain';
        setImmediate(() => {
          parts.stop(how);
        });
        return ok({ withinMs: parts.stopMs(how) });
      }),
      jobs: checked('jobs', () => ok(jobsOf(parts))),
      fetch: checked('fetch', ({ job }) => this.#fetch(job)),
      collect: checked('collect', async ({ worker: id, bytes }) => {
        const worker = parts.fleet.get(id);
        if (worker === undefined) return this.#unknown(id);
        // To the agent 0 is the bound.
        const to = bytes === undefined ? 0 : Math.max(1, Math.floor(bytes));
        const collected = await worker.requests.collect(to);
        // Results that went with it are no longer there to be fetched.
        if (collected.ok && collected.value.results > 0) await worker.probe([], PROBE_DEADLINE);
        return collected;
      }),
      benchmark: checked('benchmark', ({ worker: id }) => {
        const worker = parts.fleet.get(id);
        return worker === undefined ? this.#unknown(id) : parts.speeds.measure(worker);
      }),
      forget: checked('forget', ({ cwd }) => {
        const folder = cwd === undefined ? undefined : Buffer.from(cwd, 'utf8').toString('latin1');
        return ok({ forgotten: parts.learned.forget(folder) });
      }),
      explain: checked('explain', (params, caller) => this.#explain(params, caller.signal)),
      toolchain: checked('toolchain', toolchainFor),
      classifyLine: checked('classifyLine', (params) => ok(this.#classifyLine(params))),
      queue: checked('queue', () => ok(parts.line.list())),
      cancel: checked('cancel', (wish) => cancel(parts, wish)),
      watch: checked('watch', async ({ recent = 0 }, { signal, progress, unread }) => {
        await parts.watchers.watch({ signal, emit: progress, unread }, recent);
        return ok({});
      }),
      dashboard: checked('dashboard', ({ action, port = 0 }) =>
        action === 'stop' ? parts.dashboard.stop() : parts.dashboard.open(port),
      ),
    };
  }

  /** Answers one call; every failure becomes a reply. */
  async handle(
    call: Extract<ControlMessage, { type: 'call' }>,
    caller: {
      readonly signal: AbortSignal;
      readonly reply: (message: ControlMessage) => void;
      readonly unread: () => number;
    },
  ): Promise<void> {
    const { request } = call;
    const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value), 'utf8');
    let result: Result<unknown>;
    try {
      result = await this.#call(call, {
        signal: caller.signal,
        unread: caller.unread,
        progress: (event) => {
          caller.reply({ type: 'event', request, json: json(event) });
        },
      });
    } catch (thrown) {
      result = fail(`the daemon failed: ${messageOf(thrown)}`);
    }
    const value = result.ok ? result.value : result.failure;
    caller.reply({ type: 'reply', request, ok: result.ok, json: json(value) });
  }

  async #call(
    call: Extract<ControlMessage, { type: 'call' }>,
    caller: Caller,
  ): Promise<Result<unknown>> {
    const { method } = call;
    // A daemon of another version can always be asked to stop.
    if (call.protocol !== CONTROL_PROTOCOL && method !== 'stop')
      return fail('the daemon is of another version of rch', 'rch daemon restart');
    if (!isMethod(method))
      return fail(`the daemon knows no method ${method}`, 'rch daemon restart');
    let given: unknown;
    try {
      given = JSON.parse(call.json.toString('utf8'));
    } catch (thrown) {
      return fail(`the parameters of ${method} are no JSON: ${messageOf(thrown)}`);
    }
    return this.#methods[method](given, caller);
  }

  #unknown(id: string): Result<never> {
    const known = this.#parts.fleet.all().map((worker) => worker.id);
    const list = known.length === 0 ? 'there are none' : `there are ${known.join(', ')}`;
    return fail(`no worker is called ${id}: ${list}`, 'rch workers list');
  }

  #order(id: string, mandate: Mandate): Result<ReplyOf<'order'>> {
    const { fleet, jobs } = this.#parts;
    const worker = fleet.get(id);
    if (worker === undefined) return this.#unknown(id);
    if (!worker.worker.enabled && mandate !== 'disabled')
      return fail(`${id} is disabled by workers.toml (enabled = false)`, 'take that line out');
    const ordered = fleet.order(worker, mandate);
    if (!ordered.ok) return ordered;
    worker.rest(jobs.countOn(id));
    return ok(workerStatus(worker, this.#parts));
  }

  async #history(query: HistoryQuery): Promise<HistoryRecord[]> {
    const { history } = this.#parts;
    const { n, slow } = query;
    const all = slow === true;
    const lines = await history.last(all ? Number.POSITIVE_INFINITY : n, matcher(query));
    return (all ? slowest(lines).slice(0, n) : lines).map(publicRecord);
  }

  async #why({ job, cwd }: ParamsOf<'why'>): Promise<Result<ReplyOf<'why'>>> {
    const { history } = this.#parts;
    const line =
      job !== undefined
        ? (history.find(job) ?? (await history.last(1, ({ id }) => id.startsWith(job)))[0])
        : history.newest((each) => cwd === undefined || below(each.cwd, cwd));
    if (line === undefined) {
      const asked = job === undefined ? `in ${cwd ?? 'any folder'}` : `of job ${job}`;
      return fail(`no decision ${asked} is remembered`, 'rch history');
    }
    return ok({ record: publicRecord(line), details: line.details });
  }

  async #probe(params: ParamsOf<'probe'>, caller: Caller): Promise<Result<ReplyOf<'probe'>>> {
    const { fleet } = this.#parts;
    this.#parts.settings.reload();
    const begun = performance.now();
    let told = '';
    /** When the failure that was there before this probe was noted: it is tried again before it is told. */
    let known: number | undefined;
    for (;;) {
      const worker = fleet.get(params.worker);
      if (worker === undefined) {
        if (!fleet.expects(params.worker) || caller.signal.aborted)
          return this.#unknown(params.worker);
        await fleet.changes.next(CONNECT_PATIENCE, caller.signal);
        continue;
      }
      const { state } = worker;
      if (state.kind === 'connected') {
        const probed = await worker.probe(params.tools ?? [], PROBE_DEADLINE);
        return probed.ok ? ok(workerStatus(worker, this.#parts)) : probed;
      }
      if (state.kind === 'disabled' && (!worker.worker.enabled || worker.mandate === 'disabled'))
        return fail(`${worker.id} is disabled`, `rch workers enable ${worker.id}`);
      if (state.kind === 'unreachable') {
        if (known !== undefined && known !== state.since) return fail(state.reason, state.next);
        if (known === undefined) worker.hurry();
        known = state.since;
      }
      if (caller.signal.aborted || performance.now() - begun > CONNECT_PATIENCE)
        return fail(`${worker.id} did not connect in time`);
      if (state.kind !== told) caller.progress({ text: `${worker.id}: ${state.kind}` });
      told = state.kind;
      await fleet.changes.next(CONNECT_PATIENCE, caller.signal);
    }
  }

  async #explain(
    params: ParamsOf<'explain'>,
    signal: AbortSignal,
  ): Promise<Result<ReplyOf<'explain'>>> {
    const { decider, layout } = this.#parts;
    const request = {
      tool: params.tool.slice(params.tool.lastIndexOf('/') + 1),
      real: params.tool,
      shimDir: Buffer.from(layout.shims, 'utf8').toString('latin1'),
      argv: params.argv,
      cwd: params.cwd,
      env: environmentOf(params.env),
      streams: [closedStream, closedStream, closedStream],
      shared: 0,
    } as const;
    const quick = decider.quick(request);
    const hooks = { signal, tried: new Map<string, string>(), wait: () => undefined };
    const decision = quick.kind === 'local' ? quick : await decider.weigh(request, quick, hooks);
    return ok({
      decision: decision.kind,
      reason: decision.reason,
      worker: decision.kind === 'remote' ? decision.worker : null,
      details: decision.details,
    });
  }

  #classifyLine({ line, cwd, env = [] }: ParamsOf<'classifyLine'>): ReplyOf<'classifyLine'> {
    const { decider, layout } = this.#parts;
    return classifyLine(line, {
      cwd,
      env: environmentOf(env),
      shimDir: layout.shims,
      rulesFor: (folder) => decider.rulesFor(Buffer.from(folder, 'utf8').toString('latin1')),
      aliasesOf: (request) => decider.aliasesOf(request),
      clock: () => performance.now() * 1000,
    });
  }

  async #fetch(job: string): Promise<Result<ReplyOf<'fetch'>>> {
    const found = jobsOf(this.#parts).kept.filter(({ id }) => id.startsWith(job));
    const [only] = found;
    if (only === undefined)
      return fail(`no results of a job whose id starts with ${job} are kept`, 'rch jobs');
    if (found.length > 1)
      return fail(`the results of ${found.length} jobs with ids that start with ${job} are kept`);
    const fetched = await this.#parts.fleet.get(only.worker)?.requests.fetch(only.id);
    if (fetched?.ok !== true) return fetched ?? this.#unknown(only.worker);
    const { files, conflicts } = fetched.value;
    const names = conflicts.map((path) => Buffer.from(path, 'latin1').toString('utf8'));
    return ok({ id: only.id, worker: only.worker, files, conflicts: names });
  }
}

function isMethod(name: string): name is ControlMethod {
  return Object.hasOwn(controlMethods, name);
}
