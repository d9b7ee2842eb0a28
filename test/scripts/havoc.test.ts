/** What chaos does and what it takes for a fault of ours, without any of it happening. */
import { expect, it } from 'vitest';
import { judgeEnd, judgeRuns } from '../../scripts/havoc/judge.ts';
import { faultKinds, planStep, type FaultKind, type StepPlan } from '../../scripts/havoc/plan.ts';
import type { Ended, HistoryRow } from '../rig/world.ts';

const choices = { kinds: faultKinds, workers: 2 };
const steps = (seed: number): StepPlan[] =>
  Array.from({ length: 100 }, (_, at) => planStep(seed, at % 2, Math.floor(at / 2), choices));

const end = (code: number, stderr = '', stdout = 'sum 1\n'): Ended => ({
  ...{ code, signal: null },
  stdout: Buffer.from(stdout),
  stderr: Buffer.from(stderr),
});
const lost = end(102, 'rch: the run on w was lost: gone\n');
const row = (more: Partial<HistoryRow> = {}): HistoryRow =>
  ({ decision: 'remote', exit: 0, ...more }) as HistoryRow;

function judged(end: Ended, ...wrong: FaultKind[]): string[] {
  const [plan] = steps(1);
  if (plan === undefined) throw new Error('no step');
  const tally = { builds: 0, right: 0, lost: 0, killed: 0, failed: 0 };
  return judgeEnd(end, { wrong: new Set(wrong), plan: { ...plan, faults: [] }, tally });
}

it('plans the same for a seed, whatever came before, and another for another', () => {
  const forwards = steps(7);
  const backwards = Array.from({ length: 100 }, (_, at) => 99 - at).map((at) =>
    planStep(7, at % 2, Math.floor(at / 2), choices),
  );
  expect(backwards.reverse()).toEqual(forwards);
  expect(steps(8)).not.toEqual(forwards);
  const kinds = new Set(forwards.flatMap(({ faults }) => faults.map(({ kind }) => kind)));
  expect([...kinds].sort()).toEqual([...faultKinds].sort());
  expect(new Set(forwards.map(({ way }) => way))).toEqual(new Set(['insist', 'free', 'twins']));
});

it('takes a build for lost only where an agent or its disk was lost', () => {
  expect(judged(lost, 'agent-killed', 'cut')).toEqual([]);
  expect(judged(lost, 'disk-full')).toEqual([]);
  for (const kind of ['daemon-killed', 'link-killed', 'cut', 'frozen', 'slowed'] as const)
    expect(judged(lost, kind)).toHaveLength(1);
  expect(judged(lost)).toHaveLength(1);
  expect(judged(end(102, ''), 'agent-killed')).toHaveLength(1);
  expect(judged(end(0))).toEqual([]);
  expect(judged(end(0, '', 'su'))).toHaveLength(1);
  expect(judged(end(0, 'rch: look\n'))).toHaveLength(1);
});

it('finds a build that ran twice, never, or here after it was lost', () => {
  expect(judgeRuns([end(0)], { here: 0, there: 1 }, [row()])).toEqual([]);
  expect(judgeRuns([end(0)], { here: 0, there: 2 }, [row()])).toHaveLength(1);
  expect(judgeRuns([end(0)], { here: 1, there: 1 }, [row()])).toHaveLength(1);
  expect(judgeRuns([end(0)], { here: 0, there: 0 }, [row()])).toHaveLength(1);
  expect(judgeRuns([lost], { here: 0, there: 1 }, [row()])).toEqual([]);
  expect(judgeRuns([lost], { here: 1, there: 0 }, [row()])).toHaveLength(1);
  const twins = [end(0), end(0)];
  expect(judgeRuns(twins, { here: 0, there: 2 }, [row(), row()])).toEqual([]);
  const joined = [row(), row({ joined: 'another' })];
  expect(judgeRuns(twins, { here: 0, there: 1 }, joined)).toEqual([]);
  expect(judgeRuns(twins, { here: 0, there: 2 }, joined)).toHaveLength(1);
});
