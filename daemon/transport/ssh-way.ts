/**
 * How a host is reached: by ssh2 over which hops, or, where the settings ask for what ssh2 lacks, by the system's own ssh.
 * What only the host itself can tell, ssh2 is told on the way (connect.ts).
 */
import { existsSync } from 'node:fs';
import { fail, ok, type Result } from '../../src/base/result.ts';
import { parseJump, sshSettings, type SshSettings, type SshTarget } from './ssh-settings.ts';
import { prepareHop, type Hop } from './ssh.ts';
import type { TransportNeeds } from './transport.ts';

/** More jumps than this are a circle in the configuration. */
const MOST_HOPS = 8;

export type SshWay =
  | { readonly by: 'ssh2'; readonly settings: SshSettings; readonly hops: readonly Hop[] }
  /** `why`: what ssh2 cannot do here. */
  | { readonly by: 'system'; readonly settings: SshSettings; readonly why: string };

/** What of these settings only the system's ssh can do; undefined when nothing. */
function beyond(hop: Hop): string | undefined {
  const { settings, known, offers } = hop;
  if (settings.proxyCommand !== undefined) return 'ProxyCommand';
  if (settings.certificates.some((path) => existsSync(path))) return 'a certificate';
  if (known.length > 0 && known.every((key) => key.marker === 'authority'))
    return 'a host certificate';
  return offers.beyond;
}

/**
 * The hops to `target`, itself last. As with `ssh -J a,b`: b is reached through a, and only the first of a list
 * is reached as its own configuration says.
 */
async function hopsTo(
  target: SshTarget,
  jumps: readonly string[] | undefined,
  needs: TransportNeeds,
  depth: number,
): Promise<Result<Hop[]>> {
  if (depth > MOST_HOPS)
    return fail(
      `ProxyJump of ${target.host} leads through more than ${MOST_HOPS} hosts`,
      'look for a circle in ~/.ssh/config',
    );
  const settings = await sshSettings(target, needs.sshConfig);
  if (!settings.ok) return settings;
  const through = jumps ?? settings.value.jumps;
  const hop = await prepareHop(
    jumps === undefined ? settings.value : { ...settings.value, proxyCommand: undefined },
    needs.layout,
  );
  if (!hop.ok) return hop;
  const last = through.at(-1);
  if (last === undefined) return ok([hop.value]);
  const earlier = through.slice(0, -1);
  const before = await hopsTo(
    parseJump(last),
    earlier.length === 0 ? undefined : earlier,
    needs,
    depth + 1,
  );
  return before.ok ? ok([...before.value, hop.value]) : before;
}

export async function sshWay(target: SshTarget, needs: TransportNeeds): Promise<Result<SshWay>> {
  const hops = await hopsTo(target, undefined, needs, 1);
  if (!hops.ok) return hops;
  const last = hops.value.at(-1);
  if (last === undefined) return fail('there is no host to connect to');
  const { settings } = last;
  const why = hops.value.map(beyond).find((each) => each !== undefined);
  return ok(
    why === undefined
      ? { by: 'ssh2', settings, hops: hops.value }
      : { by: 'system', settings, why },
  );
}
