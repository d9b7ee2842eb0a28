/**
 * What the build scripts of crates want of the system.
 *
 * A build script may run anything, so its text is searched: programs by `Command::new("…")`; libraries by
 * `rustc-link-lib` and `#[link(name)]`, except static ones, which a script builds itself. Where the script really
 * has pkg-config (or a crate like it) among its dependencies, any string literal that names a module here makes the
 * module's package a requirement, whether or not this build probes for it, and what is probed for and absent here
 * must be absent there. A crate built with a feature that says bundled, vendored or static brings its own. C headers
 * count where the script has a C compiler's crate among its dependencies. Flags for one CPU count wherever they stand.
 */
import { posix } from 'node:path';
import type { CargoPackage } from './cargo-metadata.ts';
import type { Watch } from './stat-cache.ts';
import { isFile, namesIn, readRaw } from './files.ts';
import { cpuFlags, isNative } from './needs/cpu.ts';
import { rustVariables } from './needs/variables.ts';

export type CrateNeeds = {
  readonly programs: readonly string[];
  readonly libraries: readonly string[];
  /** String literals that may name pkg-config modules; empty when nothing probes. */
  readonly literals: readonly string[];
  /** What is surely probed for: `links` and the arguments of probe calls. */
  readonly probed: readonly string[];
  readonly usesPkgConfig: boolean;
  readonly usesCmake: boolean;
  readonly usesBindgen: boolean;
  /** Headers that the C sources of the crate take from the system; undefined when it compiles none. */
  readonly headers: readonly string[] | undefined;
  readonly plusPlus: boolean;
  /** Flags that ask for instructions of some CPUs. */
  readonly cpu: readonly string[];
  /** Variables of the environment that the build script reads. */
  readonly variables: readonly string[];
};

/** A package with what its build script has at hand. */
export type Crate = {
  readonly package: CargoPackage;
  /** Names of the packages that the build script depends on. */
  readonly building: readonly string[];
  readonly features: readonly string[];
};

export const noCrateNeeds: CrateNeeds = {
  programs: [],
  libraries: [],
  literals: [],
  probed: [],
  usesPkgConfig: false,
  usesCmake: false,
  usesBindgen: false,
  headers: undefined,
  plusPlus: false,
  cpu: [],
  variables: [],
};

const compilers = new Set([
  'cc',
  'cmake',
  'autotools',
  'nasm-rs',
  'cxx-build',
  'autocxx-build',
  'cpp_build',
]);
const probers = new Set(['pkg-config', 'system-deps', 'metadeps', 'vcpkg']);

const literal = /"([A-Za-z0-9][\w.+-]{0,60})"/g;
const command = /Command::new\(\s*"([^"\\\n]{1,100})"/g;
const probe = /\bprobe(?:_library)?\(\s*"([\w.+-]+)"/g;
const linkLibrary = /rustc-link-lib=(?:(?:dylib|framework)(?::[^=]*)?=)?(?!static)([\w.+-]+)/g;
const ownCopy = /bundled|vendored|static/;
const linkAttribute = /#\[link\([^)]*name\s*=\s*"([\w.+-]+)"/g;

/** Text of the build script and of what stands beside it in a `build` folder. */
function scriptTexts(script: string, watch: Watch): string[] {
  const folder = posix.dirname(script);
  const beside = ['build', 'build_src'].flatMap((name) =>
    namesIn(`${folder}/${name}`).map((each) => `${folder}/${name}/${each}`),
  );
  const inOwnFolder = /^build(_?\w+)?$/.test(posix.basename(folder))
    ? namesIn(folder).map((each) => `${folder}/${each}`)
    : [];
  const files = [script, ...beside, ...inOwnFolder].filter((path) => path.endsWith('.rs'));
  return [...new Set(files)].filter(isFile).flatMap((path) => {
    watch(path);
    return readRaw(path, 4 << 20) ?? [];
  });
}

function all(texts: readonly string[], pattern: RegExp): string[] {
  return [
    ...new Set(texts.flatMap((text) => [...text.matchAll(pattern)].map((match) => match[1] ?? ''))),
  ];
}

/** `#[link(name = "z")]` of the library's first file; -sys crates keep theirs there. */
function linked(each: CargoPackage, watch: Watch): string[] {
  if (!each.name.endsWith('-sys') && each.links == null) return [];
  const library = each.targets.find((target) => target.kind.some((kind) => kind.includes('lib')));
  if (library === undefined) return [];
  watch(library.src_path);
  return all([readRaw(library.src_path, 4 << 20) ?? ''], linkAttribute);
}

/**
 * CPU flags that a build script names. A crate of a registry that compiles some files for newer CPUs chooses among
 * them when it runs, or it would be of no use to others: there only the native CPU counts.
 */
function cpuOf(each: CargoPackage, texts: readonly string[]): string[] {
  const flags = texts.flatMap((text) => cpuFlags(text.replace(/^\s*\/\/.*$/gm, '')));
  return [...new Set(flags)].filter((flag) => each.source === null || isNative(flag));
}

/** What the texts of a crate's build script say; `headers` are for the caller to add. */
export function crateNeeds(crate: Crate, watch: Watch): CrateNeeds {
  const { package: each, building, features } = crate;
  const script = each.targets.find((target) => target.kind.includes('custom-build'));
  if (script === undefined) return noCrateNeeds;
  const texts = scriptTexts(script.src_path, watch);
  const own = features.some((feature) => ownCopy.test(feature));
  const usesPkgConfig = !own && building.some((name) => probers.has(name));
  return {
    ...noCrateNeeds,
    programs: all(texts, command),
    libraries: own ? [] : [...all(texts, linkLibrary), ...linked(each, watch)],
    literals: usesPkgConfig ? all(texts, literal) : [],
    probed: usesPkgConfig
      ? [...(each.links == null ? [] : [each.links]), ...all(texts, probe)]
      : [],
    usesPkgConfig,
    usesCmake: building.includes('cmake'),
    usesBindgen: building.includes('bindgen'),
    cpu: cpuOf(each, texts),
    variables: [...new Set(texts.flatMap(rustVariables))],
  };
}

/** Whether a build script compiles C or C++. */
export function compilesC(crate: Crate): boolean {
  return crate.building.some((name) => compilers.has(name));
}
