/**
 * Stand-ins for the folders of settings and data that a fish makes, and writes to, as soon as it runs: it reads what it
 * would read, and leaves nothing behind where it was never used.
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

type Environment = Readonly<Record<string, string>>;

/** What fish writes when it has read it: its universal variables. */
const WRITTEN = 'fish_variables';

/** Makes `copy` a folder whose entries lead to those of `real`, which may be missing. */
function mirror(real: string, copy: string, but: string): void {
  mkdirSync(copy);
  for (const name of existsSync(real) ? readdirSync(real) : [])
    if (name !== but) symlinkSync(join(real, name), join(copy, name));
}

function mirrorSettings(real: string, copy: string): void {
  mirror(real, copy, 'fish');
  mirror(join(real, 'fish'), join(copy, 'fish'), WRITTEN);
  const variables = join(real, 'fish', WRITTEN);
  if (existsSync(variables)) copyFileSync(variables, join(copy, 'fish', WRITTEN));
}

/** Runs `use` with an environment for fish; in what it comes back with, our folders are called as the real ones. */
export async function withFishFolders(
  env: Environment,
  use: (env: Environment) => Promise<string | undefined>,
): Promise<string | undefined> {
  const home = env['HOME'] ?? '/';
  const settings = env['XDG_CONFIG_HOME'] ?? join(home, '.config');
  const data = env['XDG_DATA_HOME'] ?? join(home, '.local', 'share');
  // A TMPDIR that is not there is no reason to leave fish out.
  const top = mkdtempSync(join(existsSync(tmpdir()) ? tmpdir() : '/tmp', 'rch-fish-'));
  try {
    const own = join(top, 'config');
    mirrorSettings(settings, own);
    const given: Record<string, string> = { ...env, XDG_CONFIG_HOME: own };
    if (!existsSync(join(data, 'fish'))) {
      given['XDG_DATA_HOME'] = join(top, 'data');
      mirror(data, given['XDG_DATA_HOME'], 'fish');
    }
    return (await use(given))?.replaceAll(own, settings).replaceAll(join(top, 'data'), data);
  } finally {
    rmSync(top, { recursive: true, force: true });
  }
}
