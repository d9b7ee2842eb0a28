/** The project around a folder, for the command line: where the daemon would look for .rch/config.toml. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

const versionControl = ['.git', '.hg', '.jj'];
const buildFiles = ['Cargo.toml', 'Makefile', 'makefile', 'CMakeLists.txt', 'meson.build'];

function upwards(folder: string): string[] {
  const all = [folder];
  for (let at = folder; dirname(at) !== at; at = dirname(at)) all.push(dirname(at));
  return all;
}

/**
 * Version control's root, else the nearest folder with a .rch/config.toml, else the nearest with a build file, else the
 * folder itself; never HOME or `/`, unless there is nothing else.
 */
export function projectRootOf(folder: string, home: string | undefined): string {
  const above = upwards(folder).filter((each) => each !== '/' && each !== home);
  const having = (names: readonly string[]): string | undefined =>
    above.find((each) => names.some((name) => existsSync(join(each, name))));
  return having(versionControl) ?? having(['.rch/config.toml']) ?? having(buildFiles) ?? folder;
}
