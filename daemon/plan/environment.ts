/** The environment a tool gets elsewhere: the caller's, less this machine's session, secrets and rch's own settings. */
import type { Withheld } from './types.ts';

/** Names that carry make's flags, and in them perhaps a jobserver. */
const flagNames = new Set(['MAKEFLAGS', 'MFLAGS', 'GNUMAKEFLAGS', 'CARGO_MAKEFLAGS']);

/** A jobserver is a pair of descriptors or a FIFO of the calling make: neither is there on a worker. */
const jobserver = /(^|\s+)(--jobserver-(auth|fds)=\S*|-j\s*\d*(?=\s|$)|--sync-mutex=\S*)/g;

export type ToolEnvironment = {
  /** `NAME=value`, raw. */
  readonly env: readonly string[];
  readonly withheld: readonly Withheld[];
  /** True when the caller is a make or cargo whose jobserver does not reach the worker. */
  readonly jobserver: boolean;
};

function withoutJobserver(value: string): string {
  return value.replace(jobserver, '').trimStart();
}

/** `reasonFor` is the configuration's word on a name (src/config/environment.ts). */
export function toolEnvironment(
  env: ReadonlyMap<string, string>,
  reasonFor: (name: string) => string | undefined,
): ToolEnvironment {
  const kept: string[] = [];
  const withheld: Withheld[] = [];
  let found = false;
  for (const [name, value] of env) {
    if (name.startsWith('RCH_')) continue;
    const rule = reasonFor(name);
    if (rule !== undefined) {
      withheld.push({ name, why: rule === name ? 'listed by name' : `matches ${rule}` });
      continue;
    }
    if (flagNames.has(name) && value.includes('--jobserver')) {
      found = true;
      const rest = withoutJobserver(value);
      if (rest !== '') kept.push(`${name}=${rest}`);
    } else kept.push(`${name}=${value}`);
  }
  return { env: kept, withheld, jobserver: found };
}
