/** The shims: links in home/shims to the launcher, each under the name of the tool it stands for. */
import {
  accessSync,
  constants,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  type BigIntStats,
} from 'node:fs';
import { join } from 'node:path';
import type { Layout } from '../../base/layout.ts';
import { fail, ok, type Result } from '../../base/result.ts';

export type ShimRow = {
  readonly tool: string;
  /** Our link, or null when this tool has none. */
  readonly link: string | null;
  /** What the link stands for: the next file of that name on PATH that is not the launcher. */
  readonly real: string | null;
  /** A shell that looks the name up on this PATH finds the link. */
  readonly first_on_path: boolean;
};

const launcherOf = (layout: Layout): string => join(layout.lib, 'rch-shim');
const linkTarget = '../lib/rch-shim';

function statOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Files called `name` on PATH, in order, each with whether it is our launcher (by device and inode). */
function onPath(layout: Layout, path: string, name: string): { file: string; ours: boolean }[] {
  const launcher = statOf(launcherOf(layout));
  return path
    .split(':')
    .filter((folder) => folder.startsWith('/'))
    .map((folder) => join(folder, name))
    .filter(executable)
    .map((file) => {
      const stat = statOf(file);
      const ours =
        launcher !== undefined && stat?.dev === launcher.dev && stat.ino === launcher.ino;
      return { file, ours };
    });
}

/** The file that the shim called `name` would stand for on this PATH; undefined when there is none. */
export function realTool(layout: Layout, path: string, name: string): string | undefined {
  return onPath(layout, path, name).find((each) => !each.ours)?.file;
}

/** The tools that are linked without being named: lib/tools.list, one a line. */
export function usualTools(layout: Layout): Result<string[]> {
  try {
    const text = readFileSync(join(layout.lib, 'tools.list'), 'utf8');
    return ok(
      text
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== ''),
    );
  } catch {
    return fail(`${layout.lib} is not an installation of rch`, './install.sh');
  }
}

/** The names that have a link of ours now. */
export function linkedTools(layout: Layout): string[] {
  let names: string[];
  try {
    names = readdirSync(layout.shims);
  } catch {
    return [];
  }
  return names.filter((name) => lstatSync(join(layout.shims, name)).isSymbolicLink()).sort();
}

/** A row for each usual or linked tool. */
export function shimRows(layout: Layout, path: string): Result<ShimRow[]> {
  const usual = usualTools(layout);
  if (!usual.ok) return usual;
  const linked = new Set(linkedTools(layout));
  const names = [...usual.value, ...[...linked].filter((name) => !usual.value.includes(name))];
  return ok(
    names.map((tool) => {
      const found = onPath(layout, path, tool);
      return {
        tool,
        link: linked.has(tool) ? join(layout.shims, tool) : null,
        real: found.find((each) => !each.ours)?.file ?? null,
        first_on_path: found[0]?.ours === true,
      };
    }),
  );
}

function makeLink(layout: Layout, tool: string): void {
  const fresh = join(layout.shims, `.new-${tool}`);
  rmSync(fresh, { force: true });
  symlinkSync(linkTarget, fresh);
  renameSync(fresh, join(layout.shims, tool));
}

const toolName = /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/;

/**
 * Makes a link for each usual tool that is installed, and for each in `named` whether it is or not; takes out
 * links of usual tools that are gone, since `configure` must not find a compiler that is not there.
 */
export function makeLinks(
  layout: Layout,
  path: string,
  named: readonly string[],
): Result<{ linked: string[]; removed: string[] }> {
  const wrong = named.find((name) => !toolName.test(name));
  if (wrong !== undefined)
    return fail(`"${wrong}" is not the name of a tool`, 'a name without slashes, such as gcc-12');
  const rows = shimRows(layout, path);
  if (!rows.ok) return rows;
  if (!executable(launcherOf(layout)))
    return fail(`${launcherOf(layout)} is missing`, './install.sh');
  const usual = usualTools(layout);
  const gone = rows.value.filter(
    (row) =>
      row.link !== null &&
      row.real === null &&
      usual.ok &&
      usual.value.includes(row.tool) &&
      !named.includes(row.tool),
  );
  mkdirSync(layout.shims, { recursive: true, mode: 0o755 });
  const wanted = [
    ...rows.value.filter((row) => row.real !== null).map((row) => row.tool),
    ...named,
  ];
  const linked = [...new Set(wanted)];
  for (const tool of linked) makeLink(layout, tool);
  for (const row of gone) rmSync(join(layout.shims, row.tool));
  return ok({ linked, removed: gone.map((row) => row.tool) });
}

/** Takes out links of ours: those named, else all. */
export function removeLinks(layout: Layout, named: readonly string[]): string[] {
  const linked = linkedTools(layout);
  const removed = named.length === 0 ? linked : linked.filter((tool) => named.includes(tool));
  for (const tool of removed) rmSync(join(layout.shims, tool));
  return removed;
}
