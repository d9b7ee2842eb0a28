/**
 * From names (headers, libraries, programs) to what a worker must have.
 *
 * A name is looked up on this machine, the file it means belongs to a package, and that package must be there in
 * the same version. What belongs to no package and to no root cannot be compared, and keeps the command here.
 * A name that means nothing here must mean nothing there: where it would be looked for and nothing is here, nothing may
 * be there; so too where it would be found before what it means here.
 * Packages that every installation of the distribution has (Essential, Priority: required) are not compared.
 */
import { posix } from 'node:path';
import { fail, ok, type Result } from '../../src/base/result.ts';
import type { MachineFacts } from '../../src/protocol/facts.ts';
import { familyOf } from '../classify/family.ts';
import type { Requirement } from '../select/requirement.ts';
import type { PlanCaches } from './caches.ts';
import { exists, isFile, isFolder, linkTarget, namesIn, readRaw, realPath } from './files.ts';
import { ownersOf } from './packages.ts';
import { findProgram } from './path-search.ts';
import type { Roots } from './roots.ts';
import { isSystem } from './system.ts';
import type { Needs } from './needs/needs.ts';

export type RequirementContext = {
  readonly machine: MachineFacts;
  readonly caches: PlanCaches;
  readonly roots: Roots;
  /** The caller's PATH without the shims. */
  readonly path: string;
};

/** What libc and the compiler bring: in libc6-dev and libgcc-dev, which are asked for anyway. */
const libcLibraries = new Set(
  'c m dl pthread rt util resolv crypt nsl gcc gcc_s gcc_eh atomic'.split(' '),
);

type File = { readonly path: string; readonly why: string };
type Found = {
  readonly files: File[];
  readonly tools: { readonly name: string; readonly path: string }[];
  readonly absent: Extract<Requirement, { kind: 'absent' }>[];
  readonly links: Extract<Requirement, { kind: 'leads' }>[];
};

/** The first of these paths counts, if any is there; no other may be there that is not here. */
function addFirst(found: Found, paths: readonly string[], name: string, why: string): void {
  const there = paths.filter(exists);
  if (there[0] !== undefined) found.files.push({ path: there[0], why });
  addAbsent(
    found,
    paths.filter((path) => !there.includes(path)),
    name,
    why,
  );
}

function addAbsent(found: Found, paths: readonly string[], name: string, why: string): void {
  const outside = paths.filter((path) => isSystem(posix.normalize(path)));
  if (outside.length > 0) found.absent.push({ kind: 'absent', name, paths: outside, why });
}

function triple(arch: string): string {
  return `${arch === 'i686' ? 'i386' : arch}-linux-gnu`;
}

function includeFolders(machine: MachineFacts): string[] {
  const own = triple(machine.arch);
  return ['/usr/local/include', `/usr/include/${own}`, '/usr/include'];
}

function libraryFolders(machine: MachineFacts): string[] {
  const own = triple(machine.arch);
  return ['/usr/local/lib', `/usr/lib/${own}`, `/lib/${own}`, '/usr/lib64', '/usr/lib', '/lib'];
}

function moduleFolders(machine: MachineFacts): string[] {
  const folders = [...libraryFolders(machine), '/usr/local/share', '/usr/share'];
  return folders.map((folder) => `${folder}/pkgconfig`);
}

/** The file of a pkg-config module; all modules of this machine are listed once. */
export function moduleFile(
  name: string,
  machine: MachineFacts,
  caches: PlanCaches,
): string | undefined {
  const known = caches.modules.getSync(machine.arch, (watch) => {
    const modules = new Map<string, string>();
    for (const folder of moduleFolders(machine)) {
      watch(folder);
      for (const file of namesIn(folder))
        if (file.endsWith('.pc') && !modules.has(file.slice(0, -3)))
          modules.set(file.slice(0, -3), `${folder}/${file}`);
    }
    return modules;
  });
  return known.get(name);
}

function addProgram(found: Found, name: string, context: RequirementContext): string | undefined {
  const path = findProgram(name, context.path);
  if (!name.includes('/')) {
    const places = context.path.split(':').filter((folder) => folder.startsWith('/'));
    const before = path === undefined ? places.length : places.indexOf(posix.dirname(path));
    const paths = places.slice(0, Math.max(0, before)).map((folder) => `${folder}/${name}`);
    addAbsent(found, paths, name, `the build names the program ${name}`);
  }
  if (path === undefined) return undefined;
  const real = realPath(path) ?? path;
  if (context.roots.holds(path) && context.roots.holds(real)) return undefined;
  if (!isSystem(path)) return `${name} is ${path} here, which no worker has`;
  const tool = posix.basename(path);
  const family = familyOf(tool);
  if (family !== undefined && family !== 'cargo' && family !== 'rustc')
    found.tools.push({ name: tool, path });
  const why = `the build calls ${name}`;
  // Which of several packages it means is the machine's own choice (update-alternatives).
  if (linkTarget(path) !== undefined) found.links.push({ kind: 'leads', path, to: real, why });
  found.files.push({ path: real, why });
  return undefined;
}

function lookUp(needs: Needs, context: RequirementContext): Result<Found> {
  const found: Found = { files: [], tools: [], absent: [], links: [] };
  const { machine, roots } = context;
  const named = [...needs.paths].filter((path) => isSystem(path) && isFolder(path));
  for (const name of needs.headers) {
    if (name.startsWith('/') && roots.holds(name)) continue;
    const folders = name.startsWith('/') ? [''] : [...named, ...includeFolders(machine)];
    const paths = folders.map((folder) => posix.normalize(`${folder}/${name}`));
    addFirst(found, paths, `<${name}>`, `a source includes <${name}>`);
  }
  for (const name of needs.libraries) {
    if (libcLibraries.has(name)) continue;
    const files = [`lib${name}.so`, `lib${name}.a`];
    const paths = [...named, ...libraryFolders(machine)].flatMap((folder) =>
      files.map((file) => `${folder}/${file}`),
    );
    addFirst(found, paths, `-l${name}`, `the build links -l${name}`);
  }
  for (const name of needs.modules) {
    const paths = moduleFolders(machine).map((folder) => `${folder}/${name}.pc`);
    addFirst(found, paths, `${name}.pc`, `the build asks pkg-config for ${name}`);
  }
  for (const path of needs.paths)
    if (isSystem(path) && isFile(path)) found.files.push({ path, why: `the build names ${path}` });
    else if (!exists(path)) addAbsent(found, [path], path, `the build names ${path}`);
  for (const name of needs.programs) {
    if (name.startsWith('/') && roots.holds(name)) continue;
    if (name.includes('/') && !name.startsWith('/')) continue;
    const no = addProgram(found, name, context);
    if (no !== undefined) return fail(no);
  }
  return ok(found);
}

/** Packages that every Debian has; read from the database once. */
function universal(context: RequirementContext): ReadonlyMap<string, string> {
  const { machine, caches } = context;
  if (machine.packageManager !== 'dpkg') return new Map();
  return caches.universal.getSync('dpkg', (watch) => {
    watch('/var/lib/dpkg/status');
    const all = new Map<string, string>();
    for (const block of (readRaw('/var/lib/dpkg/status', 256 << 20) ?? '').split('\n\n')) {
      const name = /^Package: (.+)$/m.exec(block)?.[1];
      const depends = /^(?:Depends|Pre-Depends): (.+)$/m.exec(block)?.[1] ?? '';
      const every = /^(Essential: yes|Priority: required)$/m.test(block);
      // What was removed may have left its configuration.
      const installed = /^Status: \S+ \S+ installed$/m.test(block);
      if (name !== undefined && installed) all.set(name, every ? 'universal' : depends);
    }
    return all;
  });
}

/** Development packages that a development package depends on: their headers include each other. */
function closure(
  names: ReadonlyMap<string, string>,
  depends: ReadonlyMap<string, string>,
): Map<string, string> {
  const all = new Map(names);
  const pending = [...names];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const [name, why] = next;
    if (!name.endsWith('-dev')) continue;
    for (const alternative of (depends.get(name) ?? '').split(',')) {
      const other = /^\s*([a-z0-9][a-z0-9+.-]+)/.exec(alternative)?.[1];
      if (other === undefined || !other.endsWith('-dev') || all.has(other) || !depends.has(other))
        continue;
      all.set(other, why);
      pending.push([other, why]);
    }
  }
  return all;
}

/** The kernel's user interface, by Debian's name, Fedora's, Alpine's and Arch's. */
const kernelHeaders = /^(linux-libc-dev|kernel-headers(\.\w+)?|linux-headers|linux-api-headers)$/;

function packageRequirement(name: string, why: string): Requirement {
  return { kind: 'package', name, why, exact: kernelHeaders.test(name) ? 'series' : 'version' };
}

/** The requirements that these needs come to. */
export async function systemRequirements(
  needs: Needs,
  context: RequirementContext,
): Promise<Result<Requirement[]>> {
  const found = lookUp(needs, context);
  if (!found.ok) return found;
  const { files, tools, absent, links } = found.value;
  const requirements: Requirement[] = tools.map(({ name, path }) => ({
    kind: 'tool',
    name,
    path,
    why: `the build calls ${name}`,
  }));
  requirements.push(...absent, ...links);
  if (needs.headers.size > 0) requirements.push({ kind: 'unshadowed', why: 'C is compiled' });
  if (context.machine.packageManager === 'none') {
    const known = files.find(({ path }) => !tools.some((tool) => realPath(tool.path) === path));
    return known === undefined
      ? ok(requirements)
      : fail(`${known.why}, and without a package database ${known.path} cannot be compared`);
  }
  const owners = await ownersOf(
    files.map((file) => file.path),
    context.machine,
    context.caches,
  );
  const depends = universal(context);
  const names = new Map<string, string>();
  for (const { path, why } of files) {
    const owner = owners.get(path);
    if (owner === undefined)
      return fail(`${why}: ${path} belongs to no package, so no worker can be compared`);
    if (depends.get(owner) !== 'universal' && !names.has(owner)) names.set(owner, why);
  }
  for (const [name, why] of closure(names, depends))
    requirements.push(packageRequirement(name, why));
  return ok(requirements);
}

/** The folders of gcc's own libraries and headers that these compilers use; all of them when that cannot be told. */
function gccFolders(compilers: Iterable<string>, path: string): string[] {
  const versions = new Set<string>();
  for (const name of compilers) {
    const program = findProgram(name, path);
    const real = program === undefined ? undefined : realPath(program);
    versions.add(/g(?:cc|\+\+)-(\d+)$/.exec(real ?? '')?.[1] ?? '*');
  }
  return namesIn('/usr/lib/gcc').flatMap((target) =>
    namesIn(`/usr/lib/gcc/${target}`)
      .filter((version) => versions.has(version) || versions.has('*'))
      .map((version) => `/usr/lib/gcc/${target}/${version}`),
  );
}

/** Adds what any call of a C compiler comes down to: its own files, binutils, libc's headers. */
export function compilerNeeds(
  needs: Needs,
  compilers: readonly string[],
  plusPlus: boolean,
  path: string,
): void {
  for (const each of [...compilers, 'as', 'ld']) needs.programs.add(each);
  needs.headers.add('stdio.h');
  needs.headers.add('linux/types.h');
  for (const folder of gccFolders(compilers, path)) {
    needs.paths.add(`${folder}/libgcc.a`);
    if (plusPlus) needs.paths.add(`${folder}/libstdc++.a`);
  }
}
