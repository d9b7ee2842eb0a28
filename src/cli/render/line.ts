/** What the five tiers say of a shell line, in words. */
import type { LineCommand, LineReply, ReplyOf, TierVerdict } from '../../protocol/methods.ts';
import type { Look } from '../report.ts';
import { detailLines } from './record.ts';
import { clip, printable, table } from './text.ts';

export type ExplainedCommand = LineCommand & {
  /** What a shim would be told now; null when it would not ask, or the line does not tell its words. */
  readonly decision: ReplyOf<'explain'> | null;
};
export type ExplainedLine = Omit<LineReply, 'commands'> & {
  readonly line: string;
  readonly commands: readonly ExplainedCommand[];
};

const names = ['instant reject', 'structure', 'keywords', 'never list', 'classification'];

const micros = (tier: TierVerdict): string =>
  tier.micros === undefined ? '' : `${Math.max(1, Math.round(tier.micros))} µs`;

function tierRows(tiers: readonly TierVerdict[], look: Look): string {
  const times = tiers.map(micros);
  const widest = Math.max(...times.map((time) => time.length));
  const rows = tiers.map((tier, at) => [
    `  tier ${tier.tier}`,
    names[tier.tier] ?? '',
    (times[at] ?? '').padStart(widest),
    tier.verdict,
    printable(tier.reason),
  ]);
  return table(rows, look.width);
}

function decisionLines({ decision }: ExplainedCommand, { colors }: Look): string[] {
  if (decision === null) return [];
  const where =
    decision.decision === 'remote'
      ? colors.green(`would run on ${decision.worker ?? 'a worker'}`)
      : colors.yellow('would run here');
  const details = decision.details === null ? [] : detailLines(decision.details);
  return [`  ${where}: ${printable(decision.reason)}`, ...details.map((line) => `  ${line}`)];
}

function commandText(command: ExplainedCommand, look: Look): string {
  const bare = printable(command.words.join(' '));
  const text = printable(command.text);
  const folder = command.cwd ?? 'a folder that the line does not tell';
  return [
    look.colors.bold(clip(text, look.width)),
    ...(bare === text ? [] : [clip(`  command ${bare}`, look.width)]),
    ...(command.wrappers.length === 0 ? [] : [`  within  ${command.wrappers.join(', ')}`]),
    ...(command.decision === null ? [] : [`  folder  ${printable(folder)}`]),
    tierRows(command.tiers, look),
    ...decisionLines(command, look),
  ].join('\n');
}

/** The whole answer. */
export function lineText(line: ExplainedLine, look: Look): string {
  const { colors } = look;
  const ours = line.commands.some((command) => command.verdict !== 'here') || line.wrap;
  const what = ours ? colors.green('for the shims') : colors.yellow('not for the shims');
  return [
    `${what}: ${printable(line.reason)}`,
    tierRows(line.tiers, look),
    ...line.commands.map((command) => `\n${commandText(command, look)}`),
  ].join('\n');
}
