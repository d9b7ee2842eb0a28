import { StreamKind } from '../../../src/protocol/shim.ts';
import type { Request, Stream } from '../../../daemon/classify/request.ts';

const pipe = (ino: bigint): Stream => ({ kind: StreamKind.pipe, flags: 1, dev: 1n, ino });

/** A request as a launcher would ask it, from words. */
export function requestOf(
  argv: readonly string[],
  more: {
    cwd?: string;
    env?: Record<string, string>;
    streams?: Request['streams'];
    shared?: number;
  } = {},
): Request {
  const tool = argv[0] ?? '';
  return {
    tool: tool.slice(tool.lastIndexOf('/') + 1),
    real: `/usr/bin/${tool}`,
    shimDir: '/opt/rch/shims',
    argv,
    cwd: more.cwd ?? '/work/project',
    env: new Map(Object.entries(more.env ?? {})),
    streams: more.streams ?? [pipe(1n), pipe(2n), pipe(3n)],
    shared: more.shared ?? 0,
  };
}

/** Words separated by spaces. */
export function words(line: string): string[] {
  return line.split(' ').filter((word) => word !== '');
}
