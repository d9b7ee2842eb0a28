/** What the tests of trees share: a folder of their own, the sanitized helper, and manifests made real by plain means. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, onTestFinished } from 'vitest';
import { FsHelper } from '../../src/tree/fs-helper.ts';
import { hashBytes, Hasher } from '../../src/tree/hash.ts';
import type { Entry, Manifest, RawPath } from '../../src/tree/manifest.ts';
import { byPath } from '../../src/tree/diff.ts';
import { Tree, type TreeOptions } from '../../src/tree/tree.ts';
import type { Result } from '../../src/base/result.ts';
import { compile } from '../shims/build.ts';

export function value<T, F>(result: Result<T, F>): T {
  if (!result.ok) throw new Error(`failed: ${JSON.stringify(result.failure)}`);
  return result.value;
}

export function reason<T, F extends { readonly reason: string }>(result: Result<T, F>): string {
  if (result.ok) throw new Error('should have failed');
  return result.failure.reason;
}

/** For the top of a file whose tests use the helper: it is compiled before the first, not within it. */
export function usesHelper(): void {
  beforeAll(() => {
    program();
  }, 120_000);
}

/** `rch-fs` with sanitizers. */
export const program = (): string => compile('shims/fs.c', 'sanitized');

/** A folder that is removed, whatever its modes, when the test ends. */
export function folder(): string {
  const path = fs.mkdtempSync(join(tmpdir(), 'rch-tree-test-'));
  onTestFinished(() => {
    execFileSync('chmod', ['-R', 'u+rwx', path]);
    execFileSync('rm', ['-rf', path]);
  });
  return path;
}

export function helper(): FsHelper {
  const made = new FsHelper(program());
  onTestFinished(() => {
    made.close();
  });
  return made;
}

export function hasher(): Hasher {
  const made = new Hasher({ threads: 1 });
  onTestFinished(() => made.close());
  return made;
}

type Opened = { readonly tree: Tree; readonly helper: FsHelper; readonly hasher: Hasher };

export function openTree(root: string, options: Partial<TreeOptions> = {}): Opened {
  const parts = { helper: options.helper ?? helper(), hasher: options.hasher ?? hasher() };
  const tree = Tree.open({ root: Buffer.from(root), ...options, ...parts });
  onTestFinished(() => tree.close());
  return { tree, ...parts };
}

export const at = (root: string, path: RawPath): Buffer =>
  path === '' ? Buffer.from(root) : Buffer.from(`${root}/${path}`, 'latin1');

/** Waits until no time given before can be taken for one of now: the clock itself is the event. */
export async function clockPasses(ms = 25): Promise<void> {
  const until = performance.now() + ms;
  while (performance.now() < until) await new Promise((done) => setTimeout(done, 5));
}

/**
 * A helper that is subject to permissions: run under another account when the tests run as root. Folders it is to
 * write in must be given to that account (`uid`).
 */
export function plainHelper(): { helper: FsHelper; uid: number } {
  const uid = process.getuid?.() ?? 0;
  if (uid !== 0) return { helper: helper(), uid };
  const other = 54_321;
  const script = join(folder(), 'as-other');
  fs.copyFileSync(program(), `${script}-fs`);
  fs.chmodSync(join(script, '..'), 0o755);
  const run = `exec setpriv --reuid=${other} --regid=${other} --clear-groups '${script}-fs'`;
  fs.writeFileSync(script, `#!/bin/sh\n${run}\n`, { mode: 0o755 });
  const made = new FsHelper(script);
  onTestFinished(() => {
    made.close();
  });
  return { helper: made, uid: other };
}

/** The manifest of a folder, found without any of our own code but the hash. */
export function lookAt(root: string): Manifest {
  const manifest: Manifest = new Map();
  const first = new Map<string, RawPath>();
  const visit = (path: RawPath): void => {
    const stat = fs.lstatSync(at(root, path), { bigint: true });
    const mode = Number(stat.mode & 0o7777n);
    const mtime = stat.mtimeNs;
    if (stat.isSymbolicLink()) {
      const target = fs.readlinkSync(at(root, path), { encoding: 'buffer' }).toString('latin1');
      manifest.set(path, { kind: 'symlink', target, mtime });
    } else if (stat.isFile()) {
      manifest.set(path, fileEntry(at(root, path), stat, mode));
      const inode = `${stat.dev}:${stat.ino}`;
      const other = first.get(inode);
      if (stat.nlink > 1n && (other === undefined || path < other)) first.set(inode, path);
    } else if (stat.isDirectory()) {
      manifest.set(path, { kind: 'dir', mode, mtime });
      for (const name of fs.readdirSync(at(root, path), { encoding: 'buffer' }))
        visit(path === '' ? name.toString('latin1') : `${path}/${name.toString('latin1')}`);
    }
  };
  visit('');
  for (const path of manifest.keys()) {
    const stat = fs.lstatSync(at(root, path), { bigint: true });
    const to = stat.isFile() ? first.get(`${stat.dev}:${stat.ino}`) : undefined;
    if (to !== undefined && to !== path) manifest.set(path, { kind: 'hardlink', to });
  }
  return manifest;
}

function fileEntry(path: Buffer, stat: fs.BigIntStats, mode: number): Entry {
  const hash = hashBytes(fs.readFileSync(path));
  return { kind: 'file', mode, size: Number(stat.size), mtime: stat.mtimeNs, hash };
}

export const sorted = (manifest: Manifest): [RawPath, Entry][] =>
  [...manifest].sort((a, b) => byPath(a[0], b[0]));

/** Temporaries of ours anywhere below a folder. */
export function temporaries(root: string): string[] {
  return execFileSync('find', [root, '-name', '.rch-tmp-*'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line !== '');
}
