/** From a launcher's question to what classification, planning and history speak of. */
import { StreamKind, type Ask } from '../../src/protocol/shim.ts';
import { requestSettings, type RequestSettings } from '../../src/config/request.ts';
import type { Result } from '../../src/base/result.ts';
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

export function requestOf(ask: Ask): Request {
  return {
    tool: raw(ask.tool),
    real: raw(ask.real),
    shimDir: raw(ask.shimDir),
    argv: ask.argv.map(raw),
    cwd: raw(ask.cwd),
    env: environmentOf(ask.env.map(raw)),
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
export function settingsOf(request: Request): Result<RequestSettings> {
  const ours: Record<string, string> = {};
  for (const [name, value] of request.env) if (name.startsWith('RCH_')) ours[name] = value;
  return requestSettings(ours);
}
