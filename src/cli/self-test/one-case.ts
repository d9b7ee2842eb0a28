/** One case with one kind of streams: here, then on a worker, at the same path by turns; and the comparison. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ok, type Result } from '../../base/result.ts';
import type { DaemonClient } from '../../client/daemon-client.ts';
import type { DecisionDetails, HistoryRecord } from '../../protocol/methods.ts';
import type { Case } from './case-file.ts';
import { fileDifferences, textDifference, timeDifferences } from './compare.ts';
import { lay, type Place } from './lay.ts';
import { normalised } from './normalise.ts';
import { recorded, type Recorded } from './recorded.ts';
import { snapshot, type Snapshot } from './snapshot.ts';
import { recordLetters, type StreamKinds } from './streams.ts';

/** Where the runs of one case take place, and with what. */
export type Bench = {
  /** A folder of this case alone. */
  readonly folder: string;
  readonly recorder: string;
  readonly client: DaemonClient;
  /** The environment for the real tools, and that in which the shims are first and send to the worker. */
  readonly here: Readonly<Record<string, string>>;
  readonly there: Readonly<Record<string, string>>;
  /** Jobs of this case that were counted already. */
  readonly seen: Set<string>;
};

export type Where =
  | { readonly at: 'worker' }
  /** The case allows it, or every worker was refused for a reason (`refused`); else it is a fault. */
  | { readonly at: 'here'; readonly reason: string; readonly refused: boolean };

export type CaseRun = {
  readonly id: string;
  readonly tool: string;
  readonly streams: StreamKinds;
  readonly where: Where;
  /** In words; none when it was as if local. */
  readonly faults: readonly string[];
};

type Done = { readonly ran: Recorded; readonly tree: Snapshot };

class Runner {
  readonly #one: Case;
  readonly #streams: StreamKinds;
  readonly #bench: Bench;
  readonly #place: Place;

  constructor(one: Case, streams: StreamKinds, bench: Bench) {
    this.#one = one;
    this.#streams = streams;
    this.#bench = bench;
    this.#place = { folder: join(bench.folder, 'work'), seed: join(bench.folder, 'seed') };
  }

  lay(): Result<undefined> {
    mkdirSync(this.#bench.folder, { recursive: true });
    return lay(this.#one, this.#place, this.#bench.here);
  }

  tree(): Snapshot {
    return snapshot(this.#place.folder);
  }

  #record(line: string, there: boolean, letters: string): Promise<Recorded> {
    const { stdin, env } = this.#one;
    const input = stdin === undefined ? undefined : join(this.#bench.folder, 'in');
    if (input !== undefined) writeFileSync(input, stdin ?? '');
    return recorded(line, {
      recorder: this.#bench.recorder,
      letters,
      cwd: this.#place.folder,
      env: { ...(there ? this.#bench.there : this.#bench.here), ...env },
      input,
      scratch: this.#bench.folder,
    });
  }

  async run(there: boolean): Promise<Done> {
    const letters = recordLetters(this.#streams, this.#one.stdin !== undefined);
    const ran = await this.#record(this.#one.run, there, letters);
    return { ran, tree: this.tree() };
  }

  /** Law 4: once more on the other side, where nothing may be left to do. */
  async again(there: boolean): Promise<string[]> {
    const { again } = this.#one;
    if (again === undefined) return [];
    const ran = await this.#record(again.run, there, 'ip=');
    const text = ran.stdout.toString('latin1');
    if (again.says.test(text) && again.never?.test(text) !== true) return [];
    const side = there ? 'there' : 'here after the run there';
    const wish = `say ${String(again.says)}${again.never === undefined ? '' : ` and not ${String(again.never)}`}`;
    return [`run again ${side}, it should ${wish}, but says:\n${text.slice(0, 2000)}`];
  }

  /** The decisions on this case's tool since the last look. */
  async decisions(): Promise<HistoryRecord[]> {
    const { client, seen } = this.#bench;
    const reply = await client.call('history', { n: 200 }, { timeoutMs: 60_000 });
    if (!reply.ok) return [];
    const folder = this.#place.folder;
    const ours = reply.value.filter(
      ({ id, cwd }) => !seen.has(id) && (cwd === folder || cwd.startsWith(`${folder}/`)),
    );
    for (const { id } of ours) seen.add(id);
    const named = ours.filter((record) => record.tool.endsWith(this.#one.tool));
    return named.length > 0 ? named : ours;
  }

  async where(): Promise<Where> {
    const records = await this.decisions();
    const local = records.find((record) => record.decision === 'local');
    if (records.length > 0 && local === undefined) return { at: 'worker' };
    if (local === undefined)
      return { at: 'here', reason: 'the daemon was not asked', refused: false };
    const why = await this.#bench.client.call('why', { job: local.id }, { timeoutMs: 60_000 });
    const refused = this.#one.local === undefined && why.ok && refusedEverywhere(why.value.details);
    return { at: 'here', reason: local.reason, refused };
  }

  forget(): void {
    rmSync(this.#place.folder, { recursive: true, force: true });
  }
}

/** No worker could have taken it (other tools, another system): nothing that rch could mend. */
function refusedEverywhere(details: DecisionDetails | null): boolean {
  return (
    details !== null &&
    details.workers.length > 0 &&
    details.workers.every((worker) => worker.refusal !== '')
  );
}

function endOf({ code, signal, late }: Recorded): string {
  if (late) return 'was ended for taking too long';
  return signal === null ? `exit ${code ?? 0}` : `died of ${signal}`;
}

function differences(one: Case, laid: Snapshot, here: Done, there: Done): string[] {
  const faults: string[] = [];
  for (const name of ['stdout', 'stderr'] as const) {
    const words = textDifference(
      name,
      normalised(here.ran[name], one.normalise),
      normalised(there.ran[name], one.normalise),
    );
    if (words !== undefined) faults.push(words);
  }
  const [end, other] = [endOf(here.ran), endOf(there.ran)];
  if (end !== other || here.ran.late) faults.push(`its end: ${end} here, ${other} there`);
  faults.push(...fileDifferences(here.tree, there.tree, one.differs));
  faults.push(...timeDifferences(laid, [here.tree, there.tree], one.order));
  return faults;
}

/** Runs it; a failure when the case itself could not be laid out. */
export async function runCase(
  one: Case,
  streams: StreamKinds,
  bench: Bench,
): Promise<Result<CaseRun>> {
  const runner = new Runner(one, streams, bench);
  const first = runner.lay();
  if (!first.ok) return first;
  const laid = runner.tree();
  const here = await runner.run(false);
  await runner.decisions();
  const second = runner.lay();
  if (!second.ok) return second;
  const there = await runner.run(true);
  const where = await runner.where();
  const faults = [...differences(one, laid, here, there), ...(await runner.again(false))];
  // The other way round too: a worker that holds the tree finds nothing to do after a run here.
  if (streams === 'pipe+pipe') faults.push(...(await runner.again(true)));
  if (where.at === 'here' && one.local === undefined && !where.refused)
    faults.push(`it ran here: ${where.reason}`);
  runner.forget();
  return ok({ id: one.id, tool: one.tool, streams, where, faults });
}
