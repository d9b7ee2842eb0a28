/** For `rch workers add`: the key a host shows, whether it is known, and taking it into our own known_hosts. */
import type { Layout } from '../../src/base/layout.ts';
import { fail, ok, type Result } from '../../src/base/result.ts';
import { fingerprint, judge, keyType, refusal, writeKnownKey } from './host-keys.ts';
import type { SshTarget } from './ssh-settings.ts';
import { sshWay } from './ssh-way.ts';
import { openWay } from './ssh.ts';
import type { TransportNeeds } from './transport.ts';

export type HostKey = {
  /** As known_hosts names it. */
  readonly keyName: string;
  readonly type: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
  readonly blob: Buffer;
  readonly known: boolean;
};

/** The key that `target` shows now; fails when it differs from the known one, or when the host cannot be reached. */
export async function hostKeyOf(
  target: SshTarget,
  needs: TransportNeeds,
  timeoutMs = 5000,
): Promise<Result<HostKey>> {
  const way = await sshWay(target, needs);
  if (!way.ok) return way;
  if (way.value.by === 'system')
    return fail(
      `${target.host} is reached by the system's ssh (${way.value.why})`,
      `accept its key by: ssh ${target.host}`,
    );
  const last = way.value.hops.at(-1);
  if (last === undefined) return fail('there is no host to connect to');
  let seen: Buffer | undefined;
  // Refusing the key ends the session before anything of ours is sent.
  const opened = await openWay(way.value.hops, { timeoutMs, signal: needs.signal }, (blob) => {
    seen = Buffer.from(blob);
    return false;
  });
  if (seen === undefined) return opened.ok ? fail('the host showed no key') : opened;
  const verdict = judge(last.known, seen);
  if (verdict.kind === 'changed' || verdict.kind === 'revoked')
    return refusal(verdict, last.settings, seen);
  return ok({
    keyName: last.settings.keyName,
    type: keyType(seen),
    fingerprint: fingerprint(seen),
    blob: seen,
    known: verdict.kind === 'known',
  });
}

/** Takes a key that the user has compared. */
export async function acceptHostKey(layout: Layout, key: HostKey): Promise<void> {
  if (!key.known) await writeKnownKey(layout, key.keyName, key.blob);
}
