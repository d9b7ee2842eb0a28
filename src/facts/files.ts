/** Which files of the system are there: what a compiler or a build would find on one machine and not on another. */
import { lstat, readdir, realpath, stat } from 'node:fs/promises';

/** Of these paths, which lead to something. */
export async function filesAt(paths: readonly string[]): Promise<Record<string, boolean>> {
  const found: Record<string, boolean> = {};
  await Promise.all(
    paths.map(async (path) => {
      found[path] = await stat(Buffer.from(path, 'latin1')).then(
        () => true,
        () => false,
      );
    }),
  );
  return found;
}

/** Where those of these paths lead that are symlinks to something, by realpath(3); latin1. */
export async function linksAt(paths: readonly string[]): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  await Promise.all(
    paths.map(async (path) => {
      const bytes = Buffer.from(path, 'latin1');
      const isLink = await lstat(bytes).then(
        (info) => info.isSymbolicLink(),
        () => false,
      );
      if (!isLink) return;
      const real = await realpath(bytes, 'buffer').catch(() => undefined);
      if (real !== undefined) found[path] = real.toString('latin1');
    }),
  );
  return found;
}

/** Folders under /usr/local, and those of packages which compilers and the loader search after them. */
const searched = [
  { own: 'include', packaged: ['/usr/include'], name: /./ },
  { own: 'lib', packaged: ['/usr/lib', '/usr/lib64', '/lib'], name: /^lib.+\.(a|so(\.\d+)*)$/ },
] as const;

/** Debian's folders for one architecture. */
const triple = /^[\w]+-linux-\w+$/;

const namesIn = (folder: string): Promise<string[]> =>
  readdir(folder, 'latin1').catch((): string[] => []);

/** The names in these folders and in those of an architecture within. */
async function allNames(folders: readonly string[]): Promise<Set<string>> {
  const lists = await Promise.all(
    folders.map(async (folder) => {
      const names = await namesIn(folder);
      const within = names.filter((name) => triple.test(name)).map((name) => `${folder}/${name}`);
      return [...names, ...(await Promise.all(within.map(namesIn))).flat()];
    }),
  );
  return new Set(lists.flat());
}

/**
 * What stands below `local` (/usr/local) in the way of a package's file of the same name, as `PATH SIZE`, or `PATH/` of a
 * folder; sorted. Headers include each other by names that no command line tells.
 */
export async function shadows(local = '/usr/local'): Promise<string[]> {
  const found: string[] = [];
  for (const { own, packaged, name } of searched) {
    const folder = `${local}/${own}`;
    const names = (await namesIn(folder)).filter((each) => name.test(each) && !triple.test(each));
    if (names.length === 0) continue;
    const hidden = await allNames(packaged);
    for (const each of names) {
      if (!hidden.has(each)) continue;
      const path = `${folder}/${each}`;
      const info = await stat(Buffer.from(path, 'latin1')).catch(() => undefined);
      if (info !== undefined) found.push(info.isDirectory() ? `${path}/` : `${path} ${info.size}`);
    }
  }
  return found.sort();
}
