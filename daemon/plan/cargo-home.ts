/**
 * The part of CARGO_HOME that a build without network needs. Found by experiment with cargo 1.95 on a read-only
 * copy: for each locked crate its index entry (`registry/index/X/.cache/…`), the index's config.json, the .crate
 * file and the unpacked source (cargo wants all three, and says "Downloading" without them); for a git dependency
 * its database and its checkout with `.git`. The lock and cache files at the top are not needed.
 */
import { posix } from 'node:path';
import { exists, isFile, namesIn } from './files.ts';
import { isRustupProxy } from './rustup.ts';

export type LockedCrate = {
  readonly name: string;
  readonly version: string;
  readonly source: string;
};

/** The packages of Cargo.lock that come from elsewhere. */
export function lockedCrates(text: string): LockedCrate[] {
  return text
    .split(/^\[\[package\]\]$/m)
    .slice(1)
    .flatMap((block) => {
      const field = (name: string): string | undefined =>
        new RegExp(`^${name} = "([^"]*)"`, 'm').exec(block)?.[1];
      const name = field('name');
      const version = field('version');
      const source = field('source');
      if (name === undefined || version === undefined || source === undefined) return [];
      return [{ name, version, source }];
    });
}

/** Where an index keeps a crate: https://doc.rust-lang.org/cargo/reference/registry-index.html#index-files. */
export function indexPath(name: string): string {
  const lower = name.toLowerCase();
  if (lower.length <= 2) return `${lower.length}/${lower}`;
  if (lower.length === 3) return `3/${lower.charAt(0)}/${lower}`;
  return `${lower.slice(0, 2)}/${lower.slice(2, 4)}/${lower}`;
}

function registryParts(home: string, crates: readonly LockedCrate[]): string[] {
  const parts: string[] = [];
  for (const index of namesIn(`${home}/registry/index`)) {
    const folder = `registry/index/${index}`;
    // An index kept as a git repository is read from its objects.
    if (exists(`${home}/${folder}/.git`)) {
      parts.push(folder);
      continue;
    }
    const entries = crates
      .map((each) => `${folder}/.cache/${indexPath(each.name)}`)
      .filter((path) => isFile(`${home}/${path}`));
    if (entries.length > 0) parts.push(`${folder}/config.json`, ...entries);
  }
  for (const kind of ['cache', 'src'])
    for (const registry of namesIn(`${home}/registry/${kind}`))
      for (const { name, version } of crates) {
        const end = kind === 'cache' ? '.crate' : '';
        const path = `registry/${kind}/${registry}/${name}-${version}${end}`;
        if (exists(`${home}/${path}`)) parts.push(path);
      }
  return parts;
}

/** `git+https://host/path/NAME.git?branch=x#REV`: its folders begin with NAME, the checkout is named by REV's start. */
function gitParts(home: string, crates: readonly LockedCrate[]): string[] {
  const parts: string[] = [];
  for (const { source } of crates) {
    if (!source.startsWith('git+')) continue;
    const [url = '', revision = ''] = source.slice(4).split('#');
    const name = posix
      .basename((url.split('?')[0] ?? '').replace(/\/+$/, ''))
      .replace(/\.git$/, '')
      .toLowerCase();
    for (const folder of namesIn(`${home}/git/db`))
      if (folder.toLowerCase().startsWith(`${name}-`)) parts.push(`git/db/${folder}`);
    for (const folder of namesIn(`${home}/git/checkouts`)) {
      if (!folder.toLowerCase().startsWith(`${name}-`)) continue;
      for (const short of namesIn(`${home}/git/checkouts/${folder}`))
        if (revision.startsWith(short)) parts.push(`git/checkouts/${folder}/${short}`);
    }
  }
  return parts;
}

/** Relative paths below CARGO_HOME; never its credentials. */
export function cargoHomeParts(home: string, lock: string): string[] {
  const crates = lockedCrates(lock);
  const registry = crates.filter((each) => !each.source.startsWith('git+'));
  const parts = [...registryParts(home, registry), ...gitParts(home, crates)];
  for (const name of ['config.toml', 'config']) if (isFile(`${home}/${name}`)) parts.push(name);
  return [...new Set(parts)].sort();
}

/** The folders whose change may change `cargoHomeParts`. */
export function cargoHomeFolders(home: string): string[] {
  const top = ['registry/index', 'registry/cache', 'registry/src', 'git/db', 'git/checkouts'];
  return top.flatMap((name) => [
    `${home}/${name}`,
    ...namesIn(`${home}/${name}`)
      .filter(() => name !== 'registry/index' && name !== 'git/db')
      .map((each) => `${home}/${name}/${each}`),
  ]);
}

/** rustup and its links in the folder of a proxy, and the external subcommands asked for. */
export function proxyParts(folder: string, subcommands: readonly string[]): string[] {
  return namesIn(folder).filter(
    (name) => name === 'rustup' || subcommands.includes(name) || isRustupProxy(`${folder}/${name}`),
  );
}
