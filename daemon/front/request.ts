/** From a launcher's question to what classification, planning and history speak of. */
import { statSync } from 'node:fs';
import { StreamKind, type Ask } from '../../src/protocol/shim.ts';
import {
  requestSettings,
  type RequestMistake,
  type RequestSettings,
} from '../../src/config/request.ts';
import type { Result } from '../../src/base/result.ts';
import { inodeOf } from '../../src/tree/listing.ts';
import type { Request, Stream } from '../classify/request.ts';

const raw = (bytes: Buffer): string => bytes.toString('latin1');

/** The environment by name; of a name that stands twice the first counts, as for getenv(3). */
export function environmentOf(env: readonly string[]): Map<string, string> {
  const map = new Map<string, string>();
  for (const entry of env) {
    const at = entry.indexOf('=', 1);
    if (at < 0) continue;
    const name = entry.slice(0, at);
    if (!map.has(name)) map.set(name, entry.slice(at + 1));
  }
  return map;
}

const kinds: readonly StreamKind[] = Object.values(StreamKind);

function streamOf(kind: number, flags: number, dev: bigint, ino: bigint): Stream {
  return { kind: kinds.find((each) => each === kind) ?? StreamKind.other, flags, dev, ino };
}

/** The folder's inode, or what no folder has. */
function inodeAt(folder: string): string {
  const info = statSync(Buffer.from(folder, 'latin1'), { throwIfNoEntry: false, bigint: true });
  return info === undefined ? folder : inodeOf(info);
}

/** PATH may lead to the shims by another name (a symlink, a slash at the end): from here on they have one. */
function nameShims(env: Map<string, string>, shimDir: string): void {
  const folders = env.get('PATH')?.split(':') ?? [];
  if (folders.includes(shimDir)) return;
  const ours = inodeAt(shimDir);
  const named = folders.map((each) =>
    each.startsWith('/') && inodeAt(each) === ours ? shimDir : each,
  );
  if (named.includes(shimDir)) env.set('PATH', named.join(':'));
}

export function requestOf(ask: Ask): Request {
  const env = environmentOf(ask.env.map(raw));
  const shimDir = raw(ask.shimDir);
  nameShims(env, shimDir);
  return {
    tool: raw(ask.tool),
    real: raw(ask.real),
    shimDir,
    argv: ask.argv.map(raw),
    cwd: raw(ask.cwd),
    env,
    streams: [
      streamOf(ask.inKind, ask.inFlags, ask.inDev, ask.inIno),
      streamOf(ask.outKind, ask.outFlags, ask.outDev, ask.outIno),
      streamOf(ask.errKind, ask.errFlags, ask.errDev, ask.errIno),
    ],
    shared: ask.shared,
  };
}

/** The request with the variables that are configured for commands on workers. */
export function withVariables(request: Request, given: Readonly<Record<string, string>>): Request {
  const entries = Object.entries(given);
  if (entries.length === 0) return request;
  const env = new Map(request.env);
  for (const [name, value] of entries) env.set(name, raw(Buffer.from(value, 'utf8')));
  return { ...request, env };
}

/** The RCH_ variables of the caller. */
export function settingsOf(request: Request): Result<RequestSettings, RequestMistake> {
  const ours: Record<string, string> = {};
  for (const [name, value] of request.env) if (name.startsWith('RCH_')) ours[name] = value;
  return requestSettings(ours);
}
