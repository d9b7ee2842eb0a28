import { classifyLine, type LineContext } from '../../../../daemon/classify/line/line.ts';
import type { Rules } from '../../../../daemon/classify/confidence.ts';
import { defaultConfig } from '../../../../src/config/schema.ts';
import type { LineCommand, LineReply } from '../../../../src/protocol/methods.ts';

export type Surroundings = {
  readonly env?: Readonly<Record<string, string>>;
  readonly rules?: Partial<Rules>;
  readonly aliases?: Readonly<Record<string, readonly string[]>>;
};

export function contextOf({ env = {}, rules = {}, aliases = {} }: Surroundings = {}): LineContext {
  const all: Rules = { ...defaultConfig().classify, ...rules };
  return {
    cwd: '/work/project',
    env: new Map(Object.entries(env)),
    shimDir: '/opt/rch/shims',
    rulesFor: () => all,
    aliasesOf: () => (name) => aliases[name],
  };
}

export function lineOf(line: string, surroundings: Surroundings = {}): LineReply {
  return classifyLine(line, contextOf(surroundings));
}

/** The only command of a line. */
export function commandOf(line: string, surroundings: Surroundings = {}): LineCommand {
  const { commands } = lineOf(line, surroundings);
  const [only] = commands;
  if (only === undefined || commands.length > 1)
    throw new Error(`${line}: ${commands.length} commands`);
  return only;
}

/** `candidate 4`: the verdict and the tier that gave it. */
export function decidedBy(command: LineCommand): string {
  return `${command.verdict} ${command.tiers.at(-1)?.tier ?? '?'}`;
}

/** A word as some shell users write it, with the same meaning: quoted, escaped, in parts. */
export const disguises: readonly ((word: string) => string)[] = [
  (word) => word,
  (word) => `'${word}'`,
  (word) => `"${word}"`,
  (word) => `\\${word}`,
  (word) => `${word.slice(0, 1)}""${word.slice(1)}`,
  (word) => `$'${word.replace(/./, (first) => `\\x${first.charCodeAt(0).toString(16)}`)}'`,
];
