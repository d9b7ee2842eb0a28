/** Whether our own words on a caller's standard error may be coloured. */
import { StreamKind } from '../../src/protocol/shim.ts';

/** NO_COLOR (no-color.org) and FORCE_COLOR of the caller; else colours on a terminal that is not dumb. */
export function colored(errKind: number, env: ReadonlyMap<string, string>): boolean {
  if ((env.get('NO_COLOR') ?? '') !== '') return false;
  const forced = env.get('FORCE_COLOR') ?? '';
  if (forced !== '') return forced !== '0';
  return errKind === StreamKind.tty && (env.get('TERM') ?? 'dumb') !== 'dumb';
}
