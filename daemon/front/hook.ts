/** The answer to an agent's hook: whether a shell line gets the shims on its PATH. In doubt it does; the shims decide. */
import { SHIM_PROTOCOL, type HookQuestion } from '../../src/protocol/shim.ts';
import { familyOf } from '../classify/family.ts';
import type { Settings } from './settings.ts';

/** What ends a word in a shell, quotes and expansions included: a word inside them may be a command too. */
const between = /[\s;&|()<>{}"'`$=\\]+/;

/** Whether any word of the line, wherever it stands, names a tool of ours. */
function namesTool(line: string): boolean {
  return line.split(between).some((word) => familyOf(word) !== undefined);
}

export function answerHook(question: HookQuestion, settings: Settings): boolean {
  if (question.protocol !== SHIM_PROTOCOL) return false;
  const outcome = settings.current();
  if (!outcome.ok || !outcome.value.config.general.enabled) return false;
  return namesTool(question.line.toString('utf8'));
}
