/**
 * `rch self-test`: runs every case of the conformance suite here and on a worker, and compares everything. Works in a
 * temporary folder of its own, changes no configuration, leaves nothing here.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { conformanceCases } from '../../base/layout.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import type { DaemonClient } from '../../client/daemon-client.ts';
import { ensureDaemon } from '../../client/daemon-process.ts';
import { forgetWorker } from '../demo/worker.ts';
import { exitCodes, type Context, type Outcome } from '../report.ts';
import { linkedTools, makeLinks } from '../shim/tools.ts';
import { readCases, type Case, type CaseSet } from './case-file.ts';
import { runCase, type CaseRun } from './one-case.ts';
import { hashOf, kindsOf } from './streams.ts';
import { Presence, type Skipped } from './presence.ts';
import { Progress } from './progress.ts';
import { findings, selfTestText } from './text.ts';
import { workersFor, type Workers } from './workers.ts';

export type SelfTestOptions = {
  readonly worker: string | undefined;
  readonly tools: readonly string[];
  /** A part of the name of cases. */
  readonly case: string | undefined;
  /** quick: a case for one of its tools; full: with all kinds of streams; else for all its tools, with one kind. */
  readonly extent: 'quick' | 'usual' | 'full';
  /** Which of so many parts of the cases, from 1 on. */
  readonly part: { readonly number: number; readonly of: number };
  /** Cases side by side. */
  readonly lanes: number;
};

/** Settings of the caller that would change what the cases show. */
const disturbing =
  /^(RCH_|CARGO_(TARGET_DIR|INCREMENTAL|BUILD_|PROFILE_|ENCODED_|TERM_)|RUST(FLAGS|DOCFLAGS|C_|UP_TOOLCHAIN)|MAKEFLAGS$|MFLAGS$|MAKELEVEL$|GNUMAKEFLAGS$|(C|CXX|CPP|LD)FLAGS$|CC$|CXX$|CPATH$|.*INCLUDE_PATH$|LIBRARY_PATH$|NINJA_STATUS$|CMAKE_|PWD$|OLDPWD$|SHLVL$|_$|LD_PRELOAD$|NO_COLOR$|FORCE_COLOR$|CLICOLOR|LANGUAGE$|LC_)/;

function environment({ env, layout }: Context): Record<string, string> {
  const kept = Object.entries(env).flatMap(([name, value]) =>
    value === undefined || disturbing.test(name) ? [] : [[name, value] as const],
  );
  const PATH = (env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin')
    .split(delimiter)
    .filter((folder) => folder !== layout.shims)
    .join(delimiter);
  return { ...Object.fromEntries(kept), PATH, LC_ALL: 'C.UTF-8', TERM: 'xterm-256color' };
}

function chosen(sets: readonly CaseSet[], options: SelfTestOptions): Result<Case[]> {
  const all = sets.flatMap((set) => set.cases);
  const tools = new Set(all.map((one) => one.tool));
  const unknown = options.tools.find((tool) => !tools.has(tool));
  if (unknown !== undefined)
    return fail(`there are no cases for ${unknown}`, `one of: ${[...tools].sort().join(' ')}`);
  const wanted = options.case;
  const cases = all.filter(
    (one) =>
      (options.extent !== 'quick' || one.quick) &&
      (hashOf(`part of ${one.id}`) >>> 8) % options.part.of === options.part.number - 1 &&
      (options.tools.length === 0 || options.tools.includes(one.tool)) &&
      (wanted === undefined || one.id.includes(wanted)),
  );
  return cases.length > 0
    ? ok(cases)
    : fail(
        `no case is called like "${wanted ?? ''}"`,
        `give a part of a name, such as ${all
          .slice(0, 3)
          .map(({ id }) => id)
          .join(', ')}`,
      );
}

type Session = {
  readonly context: Context;
  readonly client: DaemonClient;
  readonly base: string;
  readonly workers: Workers;
  readonly options: SelfTestOptions;
};

/** Runs the cases, `lanes` at a time. */
async function runAll(
  session: Session,
  cases: readonly Case[],
): Promise<Result<{ runs: CaseRun[]; skipped: Skipped[] }>> {
  const { context, client, base, workers, options } = session;
  const here = environment(context);
  const there: Record<string, string> = {
    ...here,
    PATH: [context.layout.shims, here['PATH'] ?? ''].join(delimiter),
    RCH_FORCE_REMOTE: '1',
    RCH_NOTICE: 'never',
    ...(workers.only === undefined ? {} : { RCH_WORKER: workers.only }),
  };
  const presence = new Presence(here, workers.tools);
  const progress = new Progress(cases.length, context.json);
  const runs: CaseRun[] = [];
  let broken: Result<never> | undefined;
  const pending = cases.map((one, index) => ({ one, index }));
  const lane = async (): Promise<void> => {
    for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
      const { one, index } = next;
      progress.begin(one.id);
      if (await presence.missing(one)) continue;
      const folder = join(base, String(index).padStart(4, '0'));
      const recorder = join(context.layout.lib, 'rch-run');
      const bench = { folder, recorder, client, here, there, seen: new Set<string>() };
      for (const streams of kindsOf(one.id, options.extent === 'full')) {
        const run = await runCase(one, streams, bench);
        if (run.ok) runs.push(run.value);
        else broken ??= fail(`${one.id}: ${run.failure.reason}`);
        if (run.ok && run.value.faults.length > 0) progress.fault(run.value);
      }
      rmSync(folder, { recursive: true, force: true });
    }
  };
  await Promise.all(Array.from({ length: options.lanes }, lane));
  progress.end();
  return broken ?? ok({ runs, skipped: presence.skipped });
}

/** A folder of this run; gone when the process ends, whatever ends it. */
function temporaryFolder(): string {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'rch-self-test-')));
  const remove = (): void => {
    rmSync(base, { recursive: true, force: true });
  };
  process.once('exit', remove);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      remove();
      process.kill(process.pid, signal);
    });
  return base;
}

export async function selfTest(context: Context, options: SelfTestOptions): Promise<Outcome> {
  const { layout, env } = context;
  const sets = readCases(conformanceCases(layout));
  if (!sets.ok) return sets;
  const cases = chosen(sets.value, options);
  if (!cases.ok) return cases;
  if (linkedTools(layout).length === 0) {
    const links = makeLinks(layout, env['PATH'] ?? '', []);
    if (!links.ok) return links;
  }
  const client = await ensureDaemon(layout, { explicit: true });
  if (!client.ok) return client;
  const tools = [...new Set(cases.value.map((one) => one.tool))];
  const workers = await workersFor(context, client.value, { asked: options.worker, tools });
  try {
    if (!workers.ok) return workers;
    const session = { context, client: client.value, workers: workers.value, options };
    const done = await runAll({ ...session, base: temporaryFolder() }, cases.value);
    if (!done.ok) return done;
    const whole = options.case === undefined && options.part.of === 1;
    const found = findings(sets.value, done.value, whole);
    return ok({
      facts: found,
      text: (look) => selfTestText(found, look),
      exit: found.ok ? exitCodes.done : exitCodes.failed,
    });
  } finally {
    if (!workers.ok || workers.value.ours) await forgetWorker(layout, client.value);
    client.value.close();
  }
}
