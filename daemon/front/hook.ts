/** The answer to an agent's hook: whether a shell line gets the shims on its PATH. In doubt it does; the shims decide. */
import type { Layout } from '../../src/base/layout.ts';
import { SHIM_PROTOCOL, type HookQuestion } from '../../src/protocol/shim.ts';
import { familyOf } from '../classify/family.ts';
import { classifyLine } from '../classify/line/line.ts';
import type { Decider } from './decider.ts';
import type { Settings } from './settings.ts';

/** Bytes of a line that are read with a shell's grammar; a longer one would keep others waiting. */
const MOST_READ = 64 * 1024;

/** What ends a word in a shell, quotes and expansions included: a word inside them may be a command too. */
const between = /[\s;&|()<>{}"'`$=\\]+/;

export type HookParts = {
  readonly layout: Layout;
  readonly settings: Settings;
  readonly decider: Decider;
  readonly log: (what: string) => void;
};

/** Whether any word of the line, wherever it stands, names a tool of ours. */
function namesTool(line: string): boolean {
  return line.split(between).some((word) => familyOf(word) !== undefined);
}

/** The launcher has looked at PATH itself, so no variable is known here. */
function concerns({ line, cwd }: HookQuestion, { layout, decider }: HookParts): boolean {
  const text = line.toString('utf8');
  if (line.length > MOST_READ) return namesTool(text);
  return classifyLine(text, {
    cwd: cwd.length === 0 ? '/' : cwd.toString('utf8'),
    env: new Map(),
    shimDir: layout.shims,
    rulesFor: (folder) => decider.rulesFor(Buffer.from(folder, 'utf8').toString('latin1')),
    aliasesOf: (request) => decider.aliasesOf(request),
  }).wrap;
}

export function answerHook(question: HookQuestion, parts: HookParts): boolean {
  if (question.protocol !== SHIM_PROTOCOL) return false;
  const outcome = parts.settings.current();
  if (!outcome.ok || !outcome.value.config.general.enabled) return false;
  try {
    return concerns(question, parts);
  } catch (thrown) {
    // Its words may quote the line, which is nobody's business.
    const what = thrown instanceof Error ? thrown.name : 'it threw';
    parts.log(`a line of an agent could not be classified: ${what}`);
    return true;
  }
}
