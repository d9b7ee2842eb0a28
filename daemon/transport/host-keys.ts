/** Host keys: what the known_hosts files say of a host, and whether the key it shows is one of them. Always strict. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { appendFile, mkdir } from 'node:fs/promises';
import { execa } from 'execa';
import type { Layout } from '../../src/base/layout.ts';
import { fail, ok, type Result } from '../../src/base/result.ts';
import type { SshSettings } from './ssh-settings.ts';
import { ownKnownHosts } from './transport.ts';

const LOOKUP_MS = 10_000;

export type KnownKey = {
  /** `ssh-ed25519` and so on. */
  readonly type: string;
  readonly blob: Buffer;
  readonly marker: 'none' | 'revoked' | 'authority';
  readonly file: string;
};

/** `SHA256:…` as ssh-keygen -l prints it. */
export function fingerprint(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** The type that a key in the wire format (RFC 4253, 6.6) begins with. */
export function keyType(blob: Buffer): string {
  if (blob.length < 4) return '';
  return blob.toString('latin1', 4, 4 + Math.min(blob.readUInt32BE(0), 64));
}

/** Signature algorithms for keys of a type, best first. */
export function algorithmsFor(type: string): readonly string[] {
  return type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'] : [type];
}

/** The entries in the output of `ssh-keygen -F`; lines beginning with # are its remarks. */
export function parseKnownHosts(text: string, file: string): KnownKey[] {
  const keys: KnownKey[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue;
    const words = line.trim().split(/\s+/);
    const marked = words[0]?.startsWith('@') === true ? words.shift() : undefined;
    const [, type, blob] = words;
    if (type === undefined || blob === undefined) continue;
    const marker = marked === undefined ? 'none' : marked === '@revoked' ? 'revoked' : 'authority';
    keys.push({ type, blob: Buffer.from(blob, 'base64'), marker, file });
  }
  return keys;
}

async function lookUp(name: string, file: string): Promise<Result<KnownKey[]>> {
  const found = await execa('ssh-keygen', ['-F', name, '-f', file], {
    reject: false,
    timeout: LOOKUP_MS,
    stdin: 'ignore',
  });
  if (found.code === 'ENOENT')
    return fail(
      'there is no ssh-keygen on this machine',
      'install it: apt-get install openssh-client',
    );
  // Not finding the host is an exit code, too.
  return ok(parseKnownHosts(found.stdout, file));
}

/** All known keys of a host; as ssh does, those of the bare name when none is listed for its port. */
export async function knownKeys(
  settings: SshSettings,
  layout: Layout,
): Promise<Result<KnownKey[]>> {
  const files = [ownKnownHosts(layout), ...settings.knownHostsFiles].filter((file) =>
    existsSync(file),
  );
  const bare = /^\[(.*)\]:\d+$/.exec(settings.keyName)?.[1];
  for (const name of [settings.keyName, bare]) {
    if (name === undefined) continue;
    const keys: KnownKey[] = [];
    for (const file of files) {
      const found = await lookUp(name, file);
      if (!found.ok) return found;
      keys.push(...found.value);
    }
    if (keys.length > 0) return ok(keys);
  }
  return ok([]);
}

export type HostVerdict =
  | { readonly kind: 'known' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'revoked'; readonly known: KnownKey }
  | { readonly kind: 'changed'; readonly known: KnownKey };

/** Whether the key a host shows is one we know. */
export function judge(known: readonly KnownKey[], blob: Buffer): HostVerdict {
  const same = known.filter((key) => key.blob.equals(blob));
  const revoked = same.find((key) => key.marker === 'revoked');
  if (revoked !== undefined) return { kind: 'revoked', known: revoked };
  if (same.some((key) => key.marker === 'none')) return { kind: 'known' };
  const others = known.filter((key) => key.marker === 'none');
  const other = others.find((key) => key.type === keyType(blob)) ?? others[0];
  return other === undefined ? { kind: 'unknown' } : { kind: 'changed', known: other };
}

/** Why a host key was refused, and what the user can do. */
export function refusal(
  verdict: Exclude<HostVerdict, { kind: 'known' }>,
  settings: SshSettings,
  blob: Buffer,
): Result<never> {
  const shown = `${keyType(blob)} ${fingerprint(blob)}`;
  switch (verdict.kind) {
    case 'unknown':
      return fail(
        `the host key of ${settings.keyName} is not known: ${shown}`,
        `compare the fingerprint, then accept it: rch workers add … --accept-host-key, or ssh ${settings.name} once`,
      );
    case 'revoked':
      return fail(
        `the host key of ${settings.keyName} is marked as revoked in ${verdict.known.file}: ${shown}`,
        'somebody may be posing as the worker; ask whoever runs it',
      );
    case 'changed':
      return fail(
        `the host key of ${settings.keyName} has changed: known is ${verdict.known.type} ${fingerprint(verdict.known.blob)} ` +
          `(${verdict.known.file}), the host shows ${shown}`,
        `somebody may be posing as the worker. If it was reinstalled: ssh-keygen -R '${settings.keyName}' -f ${verdict.known.file}, then accept the new key`,
      );
  }
}

/** Adds a key to our own known_hosts. */
export async function writeKnownKey(layout: Layout, keyName: string, blob: Buffer): Promise<void> {
  await mkdir(layout.config, { recursive: true, mode: 0o700 });
  const line = `${keyName} ${keyType(blob)} ${blob.toString('base64')}\n`;
  await appendFile(ownKnownHosts(layout), line, { mode: 0o600 });
}
