/** The last tiers, of a command line's words and of the shim's argv alike: exclusions, confidence, threshold. Pure. */
import { kindKey, usualConfidence, type CommandKind } from '../../src/base/command-kinds.ts';
import { fitting } from '../select/patterns.ts';

/** What the user and the project set; src/config/schema.ts says what each means. */
export type Rules = {
  readonly confidenceThreshold: number;
  /** By kindKey. */
  readonly confidence: Readonly<Record<string, number | undefined>>;
  readonly exclude: readonly string[];
};

const optimises = /^(--release|-O([1-9sgz]|fast)?|-Copt-level=.*)$/;
const OPTIMISED = 0.05;

/** 0 to 1, rounded to hundredths. */
export function confidenceOf(command: CommandKind, argv: readonly string[], rules: Rules): number {
  const start = rules.confidence[kindKey(command)] ?? usualConfidence[command];
  const more = argv.some((word) => optimises.test(word)) ? OPTIMISED : 0;
  return Math.round(Math.min(1, start + more) * 100) / 100;
}

/** The entry of `classify.exclude` that keeps a command here; `cargo b` is excluded as `cargo build` too. */
export function excludedBy(
  command: CommandKind | undefined,
  argv: readonly string[],
  rules: Rules,
): string | undefined {
  const name = argv[0] ?? '';
  const found = fitting(rules.exclude, name.slice(name.lastIndexOf('/') + 1), argv);
  if (found !== undefined || command === undefined) return found;
  const canonical = [...command.split(' '), ...argv.slice(1)];
  return fitting(rules.exclude, canonical[0] ?? '', canonical);
}

/** Why the rules keep a candidate here; undefined when they do not. */
export function keptByRules(
  command: CommandKind,
  argv: readonly string[],
  rules: Rules,
): string | undefined {
  const pattern = excludedBy(command, argv, rules);
  if (pattern !== undefined) return `classify.exclude keeps ${pattern} here`;
  const confidence = confidenceOf(command, argv, rules);
  if (confidence >= rules.confidenceThreshold) return undefined;
  return `confidence ${confidence.toFixed(2)} is below the threshold ${rules.confidenceThreshold.toFixed(2)}`;
}
