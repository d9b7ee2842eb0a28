/** Files and folders of ours that other accounts may change: they could have this user run what they like. */
import { chmodSync, existsSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { trustFile, type Layout } from '../../base/layout.ts';
import { fail, messageOf, ok, type Result } from '../../base/result.ts';
import { failed, pass, type Check } from './check.ts';

/** Written by the group, or by all. */
export const OPEN = 0o022;

export function narrow(file: string, mode: number): Result<string> {
  try {
    chmodSync(file, mode);
    return ok(`${file} has mode 0${mode.toString(8)}`);
  } catch (thrown) {
    return fail(`${file}: ${messageOf(thrown)}`);
  }
}

type Place = { readonly path: string; readonly mode: number };

/** Those of `paths` that others may change. A link has no mode that counts. */
function openOf(paths: readonly string[]): Place[] {
  return paths.flatMap((path) => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined || stat.isSymbolicLink() || (stat.mode & OPEN) === 0) return [];
    return { path, mode: stat.mode & 0o7777 };
  });
}

/** The programs one by one; elsewhere the folder closes what is in it, but for a file that rules what may run. */
function placesOf(layout: Layout): string[] {
  const { home, lib, shims, config, state, cache } = layout;
  const names = existsSync(lib) ? readdirSync(lib, { recursive: true, encoding: 'utf8' }) : [];
  return [
    home,
    lib,
    ...names.map((name) => join(lib, name)),
    shims,
    config,
    state,
    cache,
    trustFile(layout),
  ];
}

function close(places: readonly Place[]): Result<string> {
  for (const { path, mode } of places) {
    const done = narrow(path, mode & ~OPEN);
    if (!done.ok) return done;
  }
  return ok(`only you may change ${places.map(({ path }) => path).join(', ')}`);
}

const MOST_NAMED = 3;

export function modesCheck(layout: Layout): Check {
  const at = { id: 'installation.modes', title: 'modes' };
  const open = openOf(placesOf(layout));
  if (open.length === 0) return pass(at, 'nobody else may change what is installed');
  const named = open.slice(0, MOST_NAMED).map(({ path, mode }) => `${path} (0${mode.toString(8)})`);
  const more = open.length - named.length;
  return failed(
    at,
    `others may change ${named.join(', ')}${more === 0 ? '' : ` and ${more} more`}`,
    { mend: 'rch doctor installation --fix', fix: () => Promise.resolve(close(open)) },
  );
}
