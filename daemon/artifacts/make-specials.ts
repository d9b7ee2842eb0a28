/** FIFOs and sockets that a job left: made here, with the times of its other results, where nothing stands. */
import { lstatSync, type Stats } from 'node:fs';
import { fail, ok, type Result } from '../../src/base/result.ts';
import type { Special } from '../../src/protocol/jobs.ts';
import type { MakeSpecial } from '../../src/tree/apply.ts';
import { errnoText, type FsHelper } from '../../src/tree/fs-helper.ts';
import type { RawPath } from '../../src/tree/manifest.ts';
import { absolute, shown } from '../../src/tree/paths.ts';
import { stamp, type StampRule } from '../../src/tree/stamps.ts';

/** No set-user-ID, whatever a worker says. */
const MODE = 0o777;

function statOf(path: Buffer): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** Such a one stands here already: of an attempt before this one, or left by an earlier run. */
function isHere(root: Buffer, { path, kind }: Special): boolean {
  const stat = statOf(absolute(root, path));
  return kind === 'fifo' ? stat?.isFIFO() === true : stat?.isSocket() === true;
}

/** Their paths were checked. Absolute paths at which something else stands here; the new one is beside it. */
export async function makeSpecials(
  root: RawPath,
  specials: readonly Special[],
  needs: { readonly helper: FsHelper; readonly rule: StampRule; readonly suffix: string },
): Promise<Result<RawPath[]>> {
  const at = Buffer.from(root, 'latin1');
  const wanted = specials
    .filter((special) => !isHere(at, special))
    .map(({ path, kind, mode, mtime }): MakeSpecial => ({
      ...{ op: 'special', guard: 'absent', path, kind },
      ...{ mode: mode & MODE, mtime: stamp(BigInt(mtime), needs.rule) },
    }));
  if (wanted.length === 0) return ok([]);
  const made = await needs.helper.apply(at, wanted, { suffix: needs.suffix });
  if (!made.ok) return made;
  const conflicts: RawPath[] = [];
  for (const [i, result] of made.value.entries()) {
    const path = wanted[i]?.path ?? '';
    if (result.outcome === 'failed')
      return fail(`${shown(path)} cannot be made: ${errnoText(result.errno)}`);
    if (result.outcome === 'conflict') conflicts.push(`${root}/${path}`);
  }
  return ok(conflicts);
}
