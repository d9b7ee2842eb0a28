/**
 * The settings file of an agent on disk: read whole, replaced at once, and remembered as it was.
 *
 * state/hooks/HASH/ (HASH of the file's path) holds while our hook is in a file:
 * ```
 * record.json   {"agent", "file", "existed", "made"}    made: how many folders above the file are ours
 * before        the file's bytes as they were before us; missing when there was no file
 * ```
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Layout } from '../../base/layout.ts';
import { fail, messageOf, ok, type Result } from '../../base/result.ts';
import { behindLinks, missingAbove, removeAbove, replaceUserFile } from '../user-file.ts';
import { agentNames } from './agents.ts';

const record = z.object({
  agent: z.enum(agentNames),
  file: z.string(),
  existed: z.boolean(),
  made: z.number(),
});
export type HookRecord = z.infer<typeof record>;

const errorCode = (thrown: unknown): unknown =>
  thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;

/** The file's text; undefined when there is none. Bytes that are no UTF-8 are a failure. */
export function readSettings(file: string): Result<string | undefined> {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT') return ok(undefined);
    return fail(messageOf(thrown));
  }
  try {
    return ok(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return fail(`${file} is not UTF-8`);
  }
}

/** Replaces the file if it still says `old`. */
function replace(file: string, old: string | undefined, text: string): void {
  replaceUserFile(file, text, () => {
    const now = readSettings(file);
    return now.ok && now.value === old;
  });
}

const folderOf = (layout: Layout, file: string): string =>
  join(layout.state, 'hooks', createHash('sha256').update(file).digest('hex').slice(0, 16));

export function recordOf(layout: Layout, file: string): HookRecord | undefined {
  try {
    const text = readFileSync(join(folderOf(layout, file), 'record.json'), 'utf8');
    return record.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Every file that holds our hook, as far as we put it there. */
export function allRecords(layout: Layout): HookRecord[] {
  const top = join(layout.state, 'hooks');
  if (!existsSync(top)) return [];
  return readdirSync(top).flatMap((name) => {
    try {
      const text = readFileSync(join(top, name, 'record.json'), 'utf8');
      return record.safeParse(JSON.parse(text)).data ?? [];
    } catch {
      return [];
    }
  });
}

/** The file as it was before us: `existed` false when there was none. */
export function textBefore(layout: Layout, known: HookRecord): string | undefined {
  if (!known.existed) return undefined;
  const text = readSettings(join(folderOf(layout, known.file), 'before'));
  return text.ok ? text.value : undefined;
}

/** Where the bytes of before are kept, for people. */
export const backupOf = (layout: Layout, file: string): string =>
  join(folderOf(layout, file), 'before');

function remember(layout: Layout, known: HookRecord, before: string | undefined): void {
  const folder = folderOf(layout, known.file);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  rmSync(join(folder, 'before'), { force: true });
  if (before !== undefined) writeFileSync(join(folder, 'before'), before, { mode: 0o600 });
  writeFileSync(join(folder, 'record.json'), JSON.stringify(known), { mode: 0o600 });
}

function attempt(file: string, action: () => void): Result<void> {
  try {
    action();
    return ok(undefined);
  } catch (thrown) {
    return fail(`${file} could not be changed: ${messageOf(thrown)}`, 'the file is as it was');
  }
}

/** Writes `after` in place of `before`; the first time, what was before is kept. */
export function install(
  layout: Layout,
  at: Pick<HookRecord, 'agent' | 'file'>,
  change: { readonly before: string | undefined; readonly after: string; readonly renews: boolean },
): Result<void> {
  const { before, after, renews } = change;
  return attempt(at.file, () => {
    if (!renews || recordOf(layout, at.file) === undefined)
      remember(
        layout,
        { ...at, existed: before !== undefined, made: missingAbove(behindLinks(at.file)) },
        before,
      );
    replace(at.file, before, after);
  });
}

/** Writes `after` in place of `before`, or takes the file away (undefined), and forgets it. */
export function uninstall(
  layout: Layout,
  file: string,
  change: { readonly before: string; readonly after: string | undefined },
): Result<void> {
  return attempt(file, () => {
    if (change.after === undefined) {
      const real = behindLinks(file);
      rmSync(real);
      removeAbove(real, recordOf(layout, file)?.made ?? 0);
    } else if (change.after !== change.before) replace(file, change.before, change.after);
    forget(layout, file);
  });
}

/** Forgets a file that holds nothing of ours any more. */
export function forget(layout: Layout, file: string): void {
  rmSync(folderOf(layout, file), { recursive: true, force: true });
}
