/** What `rch workers sync` did to a worker, before and after. */
import type { Failure } from '../../base/result.ts';
import type { ToolFacts } from '../../protocol/facts.ts';
import { duration, printable, size } from '../render/text.ts';
import type { Look } from '../report.ts';
import type { Step } from './step.ts';

export type Row = {
  readonly name: string;
  /** Versions; empty where it is not. */
  readonly here: string;
  readonly before: string;
  readonly after: string;
  /** It is there now, and as it is here where it is here. */
  readonly same: boolean;
};

export type Report = {
  readonly id: string;
  readonly system: string;
  readonly steps: readonly Step[];
  readonly notes: readonly string[];
  readonly tools: readonly Row[];
  readonly rust: {
    readonly by: 'shipping' | 'rustup';
    readonly toolchain: string;
    /** What `rustc --version` says here. */
    readonly version: string;
    /** The same of the worker's rustup before; empty for shipping, which asks nothing there. */
    readonly before: string;
    readonly after: string;
    /** Bytes, and ms. */
    readonly sent: number;
    readonly ms: number;
  } | null;
  readonly error: Failure | null;
};

type Sides = {
  readonly here: readonly ToolFacts[];
  readonly before: readonly ToolFacts[];
  readonly after: readonly ToolFacts[];
};

const find = (tools: readonly ToolFacts[], name: string): ToolFacts | undefined =>
  tools.find((tool) => tool.name === name);

export function rowsOf({ here, before, after }: Sides, names: readonly string[]): Row[] {
  return names.map((name) => {
    const [ours, now] = [find(here, name), find(after, name)];
    const same =
      now !== undefined &&
      (ours === undefined || (ours.version === now.version && ours.target === now.target));
    return {
      name,
      here: ours?.version ?? '',
      before: find(before, name)?.version ?? '',
      after: now?.version ?? '',
      same,
    };
  });
}

const versionText = (version: string): string =>
  version === '' ? 'not there' : printable(version);

function rustLine({ by, version, before, after, sent, ms }: NonNullable<Report['rust']>): string {
  if (by === 'shipping')
    return `  Rust: ${version}, compiled with there; ${size(sent)} sent in ${duration(ms)}`;
  return before === after
    ? `  Rust: ${versionText(after)}, as before`
    : `  Rust: ${versionText(before)} → ${versionText(after)}`;
}

/** A worker in a few lines. */
export function reportText(report: Report, { colors }: Look): string {
  const { id, tools, rust, notes, error } = report;
  const good = error === null && tools.every(({ same }) => same);
  return [
    good ? colors.green(`${id} is in sync`) : colors.yellow(`${id} is not in sync`),
    ...tools.map(({ name, before, after, here, same }) => {
      const now = same ? colors.green(versionText(after)) : colors.red(versionText(after));
      return `  ${name}: ${versionText(before)} → ${now}${same ? '' : `, here ${versionText(here)}`}`;
    }),
    ...(rust === null ? [] : [rustLine(rust)]),
    ...notes.map((note) => `  ${note}`),
    ...(error === null ? [] : [colors.red(`  ${error.reason}`)]),
    ...(error?.next === undefined || error.next === '' ? [] : [`  next: ${error.next}`]),
  ].join('\n');
}
