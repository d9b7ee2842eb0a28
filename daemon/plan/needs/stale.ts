/** Whether a build would first configure anew, which looks at the machine it runs on. */
import { statSync } from 'node:fs';
import { StatCache } from '../stat-cache.ts';
import { bytesOf, readRaw } from '../files.ts';

function mtime(path: string): bigint | undefined {
  try {
    return statSync(bytesOf(path), { bigint: true, throwIfNoEntry: false })?.mtimeNs;
  } catch {
    return undefined;
  }
}

/** True when `input` is there and newer than `output`, or `output` is gone. */
function newer(input: string, output: string): boolean {
  const left = mtime(input);
  const right = mtime(output);
  return left !== undefined && (right === undefined || left > right);
}

/** The inputs of `build.ninja`: generated files say `build build.ninja: RULE | inputs`. */
function ninjaInputs(text: string): string[] {
  const joined = text.replace(/\$\r?\n\s*/g, ' ');
  const line = /^build build\.ninja(?: [^:\n]*)?: \S+(.*)$/m.exec(joined)?.[1] ?? '';
  return line
    .replace(/\$ /g, '\0')
    .replace(/\$:/g, ':')
    .split(/\s+/)
    .map((word) => word.replaceAll('\0', ' '))
    .filter((word) => word !== '' && !word.startsWith('|'));
}

/** `CMAKE_MAKEFILE_DEPENDS` of CMake's Makefile generator. */
function cmakeInputs(folder: string): string[] {
  const text = readRaw(`${folder}/CMakeFiles/Makefile.cmake`) ?? '';
  const list = /set\(CMAKE_MAKEFILE_DEPENDS\n([^)]*)\)/.exec(text)?.[1] ?? '';
  return [...list.matchAll(/"([^"]+)"/g)].map((match) => match[1] ?? '');
}

function at(folder: string, path: string): string {
  return path.startsWith('/') ? path : `${folder}/${path}`;
}

/** What a configured folder was configured from, as CMake and Meson wrote it down. */
const recorded = new StatCache<{ readonly ninja: string[]; readonly cmake: string[] }>(200);

/** The input that makes the build configure anew, or undefined. */
export function staleConfiguration(folder: string): string | undefined {
  const built = `${folder}/build.ninja`;
  const inputs = recorded.getSync(folder, (watch) => {
    watch(built);
    watch(`${folder}/CMakeFiles/Makefile.cmake`);
    return { ninja: ninjaInputs(readRaw(built, 64 << 20) ?? ''), cmake: cmakeInputs(folder) };
  });
  const check = `${folder}/CMakeFiles/cmake.check_cache`;
  const stale =
    inputs.ninja.find((each) => newer(at(folder, each), built)) ??
    inputs.cmake.find((each) => newer(at(folder, each), check));
  if (stale !== undefined) return stale;
  const pairs = [
    ['configure.ac', 'configure'],
    ['Makefile.am', 'Makefile.in'],
    ['Makefile.in', 'Makefile'],
    ['configure', 'config.status'],
  ] as const;
  return pairs.find(([input, output]) => {
    const both = mtime(`${folder}/${output}`) !== undefined;
    return both && newer(`${folder}/${input}`, `${folder}/${output}`);
  })?.[0];
}
