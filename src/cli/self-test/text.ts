/** What the self-test found, for scripts and in words. */
import type { Look } from '../report.ts';
import type { CaseSet } from './case-file.ts';
import type { CaseRun } from './one-case.ts';
import type { Skipped } from './presence.ts';

type Share = {
  /** The name of a case file. */
  readonly set: string;
  readonly runs: number;
  readonly remote: number;
  /** Least part of the runs that must be remote, as the file states it. */
  readonly least: number;
  readonly enough: boolean;
};

export type Findings = {
  readonly ok: boolean;
  readonly cases: number;
  readonly runs: number;
  readonly remote: number;
  readonly shares: readonly Share[];
  readonly faults: readonly {
    readonly case: string;
    readonly streams: string;
    readonly differences: readonly string[];
  }[];
  /** Runs that no worker could take. */
  readonly refused: readonly { readonly case: string; readonly reason: string }[];
  readonly skipped: readonly Skipped[];
};

/** `whole`: whole files were run, so that the share of remote runs means something. */
export function findings(
  sets: readonly CaseSet[],
  { runs, skipped }: { readonly runs: readonly CaseRun[]; readonly skipped: readonly Skipped[] },
  whole: boolean,
): Findings {
  const remote = (some: readonly CaseRun[]): number =>
    some.filter((run) => run.where.at === 'worker').length;
  const shares = sets.flatMap(({ name, cases, remoteShare }): Share[] => {
    const ids = new Set(cases.map((one) => one.id));
    const ours = runs.filter((run) => ids.has(run.id));
    if (ours.length === 0) return [];
    const enough = !whole || remote(ours) >= remoteShare * ours.length;
    return [{ set: name, runs: ours.length, remote: remote(ours), least: remoteShare, enough }];
  });
  const faults = runs.flatMap(({ id, streams, faults: differences }) =>
    differences.length === 0 ? [] : [{ case: id, streams, differences }],
  );
  const refused = new Map(
    runs.flatMap(({ id, where }) =>
      where.at === 'here' && where.refused ? [[id, where.reason] as const] : [],
    ),
  );
  return {
    ok: faults.length === 0 && shares.every((share) => share.enough),
    cases: new Set(runs.map((run) => run.id)).size,
    runs: runs.length,
    remote: remote(runs),
    shares,
    faults,
    refused: [...refused].map(([name, reason]) => ({ case: name, reason })),
    skipped,
  };
}

export function selfTestText(found: Findings, { colors }: Look): string {
  const lines = found.faults.flatMap(({ case: name, streams, differences }) => [
    colors.red(`FAULT ${name} (${streams})`),
    ...differences.map((words) => words.replace(/^/gm, '  ')),
    '',
  ]);
  for (const { case: name, reason } of found.refused)
    lines.push(`no worker for ${name}: ${reason}`);
  for (const { what, why } of found.skipped) lines.push(`left out: ${what}: ${why}`);
  for (const { set, runs, remote, least, enough } of found.shares)
    if (!enough)
      lines.push(
        colors.red(
          `${set}: only ${remote} of ${runs} runs were on a worker; ${least} of them is the least`,
        ),
      );
  const faulty = new Set(found.faults.map((fault) => fault.case)).size;
  const verdict =
    faulty === 0 ? colors.green('no differences') : colors.red(`${faulty} cases differ`);
  lines.push(
    `${found.cases} cases, ${found.runs} runs, ${found.remote} of them on a worker: ${verdict}`,
  );
  return lines.join('\n');
}
