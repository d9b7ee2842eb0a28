/** When two commands are one and the same, so that one run may serve both. */
import { createHash } from 'node:crypto';
import type { Config } from '../../src/config/schema.ts';
import { StreamKind, type Ask } from '../../src/protocol/shim.ts';
import type { Plan } from '../plan/types.ts';
import { inheritedBy } from './inherited.ts';

/** Standard input that gives nothing, so that no two callers can mean different things by it. */
const empty: readonly number[] = [StreamKind.devNull, StreamKind.closed];
/** Where output goes as bytes alone: it is told again without anything that depends on a terminal's size or modes. */
const plain: readonly number[] = [
  StreamKind.pipe,
  StreamKind.file,
  StreamKind.socket,
  StreamKind.devNull,
];

/**
 * Equal for commands with the same tool, arguments, environment as it travels, folder, limits, kinds of streams and
 * roots; what the roots hold is compared when it matters (daemon/link/twins.ts). Empty for a command that is run for
 * its caller alone: one that may read what is typed, or that looks at a terminal. `anew`: nothing of before may be relied
 * on (RCH_NO_CACHE, transfer.checksum).
 */
export function joinKey(ask: Ask, plan: Plan, config: Config, anew: boolean): string {
  if (!config.deduplication.enabled || anew) return '';
  // Each command has its own hooks.
  if (`${config.hooks.preTransfer}${config.hooks.postCompile}`.trim() !== '') return '';
  if (!empty.includes(ask.inKind) || !plain.includes(ask.outKind) || !plain.includes(ask.errKind))
    return '';
  const one = ask.outDev === ask.errDev && ask.outIno === ask.errIno;
  const same = {
    tool: plan.tool,
    argv: ask.argv.map((word) => word.toString('latin1')),
    cwd: ask.cwd.toString('latin1'),
    env: [...plan.env].sort(),
    withheld: plan.withheld.map(({ name }) => name).sort(),
    ...inheritedBy(ask, config),
    streams: [ask.inKind, ask.outKind, ask.errKind, one],
    roots: plan.roots,
    hide: plan.hide,
    open: plan.open,
    catchExec: plan.catchExec,
    caches: plan.caches,
    outputs: plan.outputs,
    network: plan.network && config.sandbox.network,
    timeout: config.execution.timeoutSec,
  };
  return createHash('sha256').update(JSON.stringify(same)).digest('hex');
}
