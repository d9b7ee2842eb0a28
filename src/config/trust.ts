/**
 * Which project files the user has vouched for: `trust.json` in the state folder, by path and content, so that a pull
 * that changes the file asks again. `{"version":1,"files":[{"file","sha256","at"}]}`, `at` in ISO 8601.
 */
import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { trustFile, type Layout } from '../base/layout.ts';
import type { Result } from '../base/result.ts';
import { readText, replaceFile } from './replace-file.ts';

const trustedFile = z.object({ file: z.string(), sha256: z.string(), at: z.string() });
export type TrustedFile = z.infer<typeof trustedFile>;
const shape = z.object({ version: z.literal(1), files: z.array(trustedFile) });

/**
 * The file's place: its project, whatever way led there, and its name in it. No link inside the project is followed,
 * which would lend one repository the trust in another.
 */
function canonical(file: string): string {
  const folder = dirname(file);
  try {
    return join(realpathSync(dirname(folder)), basename(folder), basename(file));
  } catch {
    return file;
  }
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** All that is trusted; nothing where the file is damaged. */
export function trustedFiles(layout: Layout): readonly TrustedFile[] {
  const text = readText(trustFile(layout));
  if (!text.ok || text.value === '') return [];
  try {
    const parsed = shape.safeParse(JSON.parse(text.value));
    return parsed.success ? parsed.data.files : [];
  } catch {
    return [];
  }
}

/** Whether this very text of the file was trusted. */
export function isTrusted(layout: Layout, file: string, text: string): boolean {
  const path = canonical(file);
  const sha256 = hashOf(text);
  return trustedFiles(layout).some((each) => each.file === path && each.sha256 === sha256);
}

function write(layout: Layout, files: readonly TrustedFile[]): Result<undefined> {
  const text = `${JSON.stringify({ version: 1, files }, null, 2)}\n`;
  return replaceFile(trustFile(layout), text, { mode: 0o600, always: true });
}

/** Trusts the file as it is now; what was trusted of it before no longer is. */
export function trust(layout: Layout, file: string, text: string): Result<undefined> {
  const path = canonical(file);
  const others = trustedFiles(layout).filter((each) => each.file !== path);
  return write(layout, [
    ...others,
    { file: path, sha256: hashOf(text), at: new Date().toISOString() },
  ]);
}

/** Takes the trust back; false when there was none. */
export function revoke(layout: Layout, file: string): Result<boolean> {
  const path = canonical(file);
  const all = trustedFiles(layout);
  const others = all.filter((each) => each.file !== path && each.file !== file);
  if (others.length === all.length) return { ok: true, value: false };
  const written = write(layout, others);
  return written.ok ? { ok: true, value: true } : written;
}
