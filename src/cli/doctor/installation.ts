/** `rch doctor`: our own files, and the links that stand for the tools. */
import {
  accessSync,
  constants,
  lstatSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Layout } from '../../base/layout.ts';
import { ok, type Result } from '../../base/result.ts';
import { linkedTools, makeLinks, shimRows, type ShimRow } from '../shim/tools.ts';
import type { Context } from '../report.ts';
import { failed, pass, warn, type Check } from './check.ts';
import { modesCheck } from './modes.ts';

/** What must lie in `lib`; programs must be executable. */
const programs = ['rch-shim', 'rch-run', 'rch-fs'] as const;
const files = ['rch.mjs', 'rchd.mjs', 'link.mjs', 'rch-wkr.mjs', 'tools.list'] as const;
const natives = ['blake.node', 'zstd.node'] as const;

/** Runs from the sources, or from a folder into which install.sh copied them. */
const REINSTALL = './install.sh (in the folder of the sources)';

function readable(file: string, mode: number): boolean {
  try {
    accessSync(file, mode);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function filesCheck({ lib }: Layout): Check {
  const at = { id: 'installation.files', title: 'programs' };
  const missing = [
    ...programs.filter((name) => !readable(join(lib, name), constants.X_OK)),
    ...files.filter((name) => !readable(join(lib, name), constants.R_OK)),
    ...natives
      .map((name) => join('native', name))
      .filter((name) => !readable(join(lib, name), constants.R_OK)),
  ];
  return missing.length === 0
    ? pass(at, `all there, in ${lib}`)
    : failed(at, `${lib} lacks ${missing.join(', ')}, or they cannot be run`, { mend: REINSTALL });
}

/** The launcher holds its version as a C string. */
function launcherCheck({ layout, version }: Context): Check {
  const at = { id: 'installation.launcher', title: 'launcher' };
  const file = join(layout.lib, 'rch-shim');
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch {
    return failed(at, `${file} is missing`, { mend: REINSTALL });
  }
  return bytes.includes(`${version}\0`)
    ? pass(at, `version ${version}`)
    : failed(at, `${file} is not of version ${version}, as the rest is`, { mend: REINSTALL });
}

function relinkNode(link: string): Result<string> {
  const fresh = `${link}.new`;
  rmSync(fresh, { force: true });
  symlinkSync(process.execPath, fresh);
  renameSync(fresh, link);
  return ok(`${link} leads to ${process.execPath}`);
}

function nodeCheck({ lib }: Layout): Check {
  const at = { id: 'installation.node', title: 'Node' };
  const link = join(lib, 'node');
  if (readable(link, constants.X_OK)) return pass(at, `${process.version}, by ${link}`);
  const linked = lstatSync(link, { throwIfNoEntry: false }) !== undefined;
  if (!linked) return pass(at, `${process.version}, ${process.execPath}`);
  return failed(at, `${link} leads to a Node that is gone`, {
    mend: `ln -sfn '${process.execPath}' '${link}'`,
    fix: () => Promise.resolve(relinkNode(link)),
  });
}

/** Links in the folder of shims that do not lead to the launcher. */
function strayLinks(layout: Layout): string[] {
  const launcher = statSync(join(layout.lib, 'rch-shim'), { bigint: true, throwIfNoEntry: false });
  return linkedTools(layout).filter((tool) => {
    const stat = statSync(join(layout.shims, tool), { bigint: true, throwIfNoEntry: false });
    return stat === undefined || stat.dev !== launcher?.dev || stat.ino !== launcher.ino;
  });
}

function relink(context: Context, stray: readonly string[]): Result<string> {
  const { layout, env } = context;
  // Those that were asked for by name stay, though no such tool may be on this PATH.
  const made = makeLinks(layout, env['PATH'] ?? '', stray);
  if (!made.ok) return made;
  const { linked, removed } = made.value;
  const gone = removed.length === 0 ? '' : `; removed ${removed.join(' ')}`;
  return ok(`linked ${linked.join(' ')}${gone}`);
}

/** Decides about the links from what is there. */
export function judgeLinks(
  rows: readonly ShimRow[],
  stray: readonly string[],
): { readonly state: Check['state']; readonly why: string } {
  const linked = rows.filter((row) => row.link !== null);
  const lacking = rows.filter((row) => row.link === null && row.real !== null);
  const names = (of: readonly ShimRow[]): string => of.map((row) => row.tool).join(' ');
  if (linked.length === 0) return { state: 'fail', why: 'no tool has a link' };
  if (stray.length > 0)
    return { state: 'fail', why: `links that do not lead to the launcher: ${stray.join(' ')}` };
  if (lacking.length > 0)
    return { state: 'warn', why: `installed tools without a link: ${names(lacking)}` };
  return { state: 'pass', why: names(linked) };
}

function linksCheck(context: Context): Check {
  const { layout, env } = context;
  const at = { id: 'installation.shims', title: 'shims' };
  const rows = shimRows(layout, env['PATH'] ?? '');
  if (!rows.ok) return failed(at, rows.failure.reason, { mend: REINSTALL });
  const stray = strayLinks(layout);
  const { state, why } = judgeLinks(rows.value, stray);
  if (state === 'pass') return pass(at, why);
  const how = {
    mend: 'rch shim install --no-profile',
    fix: () => Promise.resolve(relink(context, stray)),
  };
  return state === 'warn' ? warn(at, why, how) : failed(at, why, how);
}

export function checkInstallation(context: Context): Promise<Check[]> {
  const { layout } = context;
  return Promise.resolve([
    filesCheck(layout),
    launcherCheck(context),
    nodeCheck(layout),
    linksCheck(context),
    modesCheck(layout),
  ]);
}
