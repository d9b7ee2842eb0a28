/** Which C library programs of this machine use: its name and version, `glibc 2.36` or `musl 1.2.4`. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ask } from './answer.ts';

/** What musl's loader (or its ldd) says about itself. */
export function parseMusl(text: string): string | undefined {
  if (!text.includes('musl')) return undefined;
  const version = /^Version (\S+)/m.exec(text)?.[1];
  return version === undefined ? undefined : `musl ${version}`;
}

/** The last word of glibc's ldd or loader: `ldd (Debian GLIBC 2.36-9) 2.36`. */
export function parseGlibc(text: string): string | undefined {
  if (!/GLIBC|GNU libc|ld\.so/.test(text)) return undefined;
  const version = /(\d+\.\d+)\.?$/m.exec(text.split('\n')[0] ?? '')?.[1];
  return version === undefined ? undefined : `glibc ${version}`;
}

async function loaders(): Promise<string[]> {
  const found: string[] = [];
  for (const folder of ['/lib', '/lib64']) {
    const names = await readdir(folder).catch(() => []);
    for (const name of names)
      if (/^ld-(?:linux|musl)[^/]*\.so\.\d$/.test(name)) found.push(join(folder, name));
  }
  return found;
}

/** `unknown` when nothing answers. `path`: where to find getconf and ldd. */
export async function libcOf(path: string): Promise<string> {
  const getconf = await ask(['getconf', 'GNU_LIBC_VERSION'], { path });
  const known = /^glibc \d+\.\d+/.exec(getconf?.stdout ?? '')?.[0];
  if (getconf?.exit === 0 && known !== undefined) return known;
  const asked = [['ldd', '--version'], ...(await loaders()).map((loader) => [loader, '--version'])];
  for (const argv of asked) {
    const answer = await ask(argv, { path });
    const text = answer === undefined ? '' : answer.stdout + answer.stderr;
    const libc = parseMusl(text) ?? parseGlibc(text);
    if (libc !== undefined) return libc;
  }
  return 'unknown';
}
