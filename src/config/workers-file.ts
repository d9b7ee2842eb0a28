/** Adds to and takes from workers.toml as text, so that comments and order stay; the file is replaced at once. */
import { parse } from 'smol-toml';
import type { Result } from '../base/result.ts';
import { replaceFile } from './replace-file.ts';
import { tomlValue } from './toml-value.ts';
import { placesIn } from './toml-lines.ts';

/** The keys of a new block, in the file's spelling and in the order to write them. */
export type WorkerEntry = Readonly<
  Record<string, string | number | boolean | readonly string[] | undefined>
>;

/** The text with one more block at its end. */
export function withWorker(text: string, entry: WorkerEntry): string {
  const lines = Object.entries(entry).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key} = ${tomlValue(value)}`],
  );
  const between =
    text === '' ? '' : text.endsWith('\n\n') ? '' : text.endsWith('\n') ? '\n' : '\n\n';
  return `${text}${between}[[workers]]\n${lines.join('\n')}\n`;
}

/**
 * The text without the block of worker `id`, the comments right above its header included. Undefined when no
 * block written as `[[workers]]` has that id.
 */
export function withoutWorker(text: string, id: string): string | undefined {
  const parsed = parse(text);
  const workers: unknown = parsed['workers'];
  if (!Array.isArray(workers)) return undefined;
  const index = workers.findIndex(
    (worker: unknown) =>
      typeof worker === 'object' && worker !== null && 'id' in worker && worker.id === id,
  );
  if (index < 0) return undefined;
  const headers = placesIn(text).filter((place) => place.kind === 'table');
  const own = JSON.stringify(['workers', index]);
  const at = headers.findIndex((place) => JSON.stringify(place.path) === own);
  const header = headers[at];
  if (header === undefined) return undefined;
  const lines = text.split('\n');
  const above = (line: number): number => {
    let first = line;
    while (first > 0 && (lines[first - 1] ?? '').trimStart().startsWith('#')) first -= 1;
    return first;
  };
  // Tables below the worker's own ([workers.x]) belong to it.
  const next = headers
    .slice(at + 1)
    .find((place) => place.path[0] !== 'workers' || place.path.length !== 1);
  const from = above(header.line - 1);
  const till = next === undefined ? lines.length : above(next.line - 1);
  const kept = [...lines.slice(0, from), ...lines.slice(till)].join('\n').replace(/\n+$/, '\n');
  return kept === '\n' ? '' : kept;
}

/** Replaces the file, or what a link leads to, at once; mode 0600. */
export function writeWorkersFile(file: string, text: string): Result<undefined> {
  return replaceFile(file, text, { mode: 0o600, always: true });
}
