/**
 * What the Rust sources of a workspace's own packages say of this machine: paths with `..` between quotes (`include_str!`,
 * `#[path]`, what a test reads), and programs that tests call. Modules below the first file of a target are read only for
 * tests, and not beyond a bound.
 */
import { posix } from 'node:path';
import type { CargoPackage } from './cargo-metadata.ts';
import { isFolder, namesIn, readRaw } from './files.ts';
import { outwardLiterals } from './needs/outward.ts';
import type { Watch } from './stat-cache.ts';

export type RustSources = {
  /** As in command position. */
  readonly programs: readonly string[];
  /** Absolute, whether they are there or not. */
  readonly outside: readonly string[];
};

const MOST_FILES = 300;
const command = /Command::new\(\s*"([\w.+-]{1,100})"/g;

function sourcesBelow(folder: string, watch: Watch): string[] {
  const found: string[] = [];
  const pending = [folder];
  for (let at = pending.pop(); at !== undefined && found.length < MOST_FILES; at = pending.pop()) {
    if (!isFolder(at)) continue;
    watch(at);
    for (const name of namesIn(at))
      if (name.endsWith('.rs')) found.push(`${at}/${name}`);
      else if (!name.includes('.')) pending.push(`${at}/${name}`);
  }
  return found.slice(0, MOST_FILES);
}

/** The part of a source that only tests are made of. */
function tests(path: string, text: string, folder: string): string {
  if (/^(tests|benches)\//.test(posix.relative(folder, path))) return text;
  const at = text.indexOf('#[cfg(test)]');
  return at < 0 ? '' : text.slice(at);
}

export function rustSources(each: CargoPackage, tested: boolean, watch: Watch): RustSources {
  const folder = posix.dirname(each.manifest_path);
  const below = tested ? ['tests', 'src'] : [];
  const files = new Set([
    ...each.targets.map((target) => target.src_path),
    ...below.flatMap((name) => sourcesBelow(`${folder}/${name}`, watch)),
  ]);
  const programs = new Set<string>();
  const outside = new Set<string>();
  for (const path of files) {
    watch(path);
    const text = readRaw(path, 4 << 20) ?? '';
    for (const literal of outwardLiterals(text))
      for (const base of [posix.dirname(path), folder]) outside.add(posix.resolve(base, literal));
    if (tested)
      for (const [, name = ''] of tests(path, text, folder).matchAll(command)) programs.add(name);
  }
  return { programs: [...programs], outside: [...outside] };
}
