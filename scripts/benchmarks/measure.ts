/** What a benchmark says: lines of a table, from samples that were taken in pairs. */

/** One line of the table. */
export type Line = {
  readonly bench: string;
  /** What was measured, and with which figures. */
  readonly what: string;
  /** With their units, such as `3.2 ms`. */
  readonly measured: string;
  readonly baseline: string;
  /** `measured` for each unit of `baseline`. */
  readonly ratio: number;
  readonly goal: string;
  /** Undefined where there is no goal. */
  readonly met: boolean | undefined;
};

/** The value below which `share` (0 to 1) of the samples lie, by the nearest-rank method. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5);
}

export function ms(value: number): string {
  if (Math.abs(value) >= 10_000) return `${(value / 1000).toFixed(2)} s`;
  return `${value.toFixed(Math.abs(value) < 10 ? 2 : 1)} ms`;
}

const HEAD = ['benchmark', 'what', 'rch', 'baseline', 'ratio', 'goal', ''] as const;

/** The lines as a table of aligned columns. */
export function table(lines: readonly Line[]): string {
  const rows = lines.map((line) => [
    line.bench,
    line.what,
    line.measured,
    line.baseline,
    Number.isFinite(line.ratio) ? `${line.ratio.toFixed(2)}×` : '',
    line.goal,
    line.met === undefined ? '' : line.met ? 'ok' : 'MISS',
  ]);
  const all = [HEAD, ...rows];
  const widths = HEAD.map((_, at) => Math.max(...all.map((row) => row[at]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
