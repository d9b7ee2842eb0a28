/** The object stores of a project's git, and which of them are too large to be carried whole. */
import { exists, isFolder, namesIn, sizeOf } from './files.ts';

/** A store that is not carried: `objects` holds it, `git` is its git folder (gitrepository-layout(5)). */
export type LargeStore = { readonly git: string; readonly objects: string };

/** ms for which a store's size is taken for known: it decides only how the store is carried. */
const SIZE_FRESH = 10_000;
/** Submodules in submodules. */
const MOST_DEPTH = 4;

const sizes = new Map<string, { readonly bytes: number; readonly at: number }>();

function folderBytes(folder: string): number {
  return namesIn(folder).reduce((sum, name) => sum + sizeOf(`${folder}/${name}`), 0);
}

/** Bytes of an object store: packs and loose objects. */
function storeBytes(objects: string): number {
  const known = sizes.get(objects);
  const now = performance.now();
  if (known !== undefined && now - known.at < SIZE_FRESH) return known.bytes;
  const bytes = namesIn(objects)
    .filter((name) => name === 'pack' || /^[0-9a-f]{2}$/.test(name))
    .reduce((sum, name) => sum + folderBytes(`${objects}/${name}`), 0);
  sizes.set(objects, { bytes, at: now });
  return bytes;
}

/** The git folders of the submodules of a git folder, however deep. */
function submodules(git: string, depth = 0): string[] {
  const modules = `${git}/modules`;
  if (depth > MOST_DEPTH) return [];
  // A submodule's name may hold slashes: then there are folders between.
  const below = (folder: string, levels: number): string[] =>
    namesIn(folder).flatMap((name) => {
      const path = `${folder}/${name}`;
      if (exists(`${path}/HEAD`) && isFolder(`${path}/objects`))
        return [path, ...submodules(path, depth + 1)];
      return levels > 0 && isFolder(path) ? below(path, levels - 1) : [];
    });
  return below(modules, 3);
}

/**
 * The stores of a git folder and its submodules that hold more than `limit` bytes, or borrow from a store elsewhere
 * (objects/info/alternates), which would not be there.
 */
export function largeStores(git: string, limit: number): LargeStore[] {
  if (!isFolder(`${git}/objects`)) return [];
  return [git, ...submodules(git)]
    .map((each) => ({ git: each, objects: `${each}/objects` }))
    .filter(({ objects }) => exists(`${objects}/info/alternates`) || storeBytes(objects) > limit);
}
