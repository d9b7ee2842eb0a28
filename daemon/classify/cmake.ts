/** cmake: only `--build` of a configured folder goes elsewhere. */
import { posix } from 'node:path';
import { coresOf } from './cores.ts';
import { classifyMake } from './make.ts';
import { neverTarget } from './never-targets.ts';
import { classifyNinja } from './ninja.ts';
import type { Request } from './request.ts';
import { heavy, light, type BuildToolFacts, type LocalVerdict, type Verdict } from './verdict.ts';

type Build = {
  folder: string | undefined;
  preset: string | undefined;
  targets: string[];
  jobs: string | undefined;
  unbounded: boolean;
  /** Of a generator with several: Debug, Release. */
  config: string | undefined;
  native: readonly string[];
};

/** `cmake --build <dir> [options] [-- native-options]`, cmake(1) 3.25. -j and -t may be joined. */
function parseBuild(words: readonly string[]): Build | string {
  const build: Build = {
    folder: undefined,
    preset: undefined,
    targets: [],
    jobs: undefined,
    unbounded: false,
    config: undefined,
    native: [],
  };
  let targets = false;
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    const next = words[at + 1];
    if (word === '--') return { ...build, native: words.slice(at + 1) };
    if (!word.startsWith('-')) {
      if (targets) build.targets.push(word);
      else build.folder ??= word;
      continue;
    }
    targets = false;
    const parallel = /^(?:-j|--parallel)=?(\d*)$/.exec(word);
    if (parallel !== null) {
      const joined = parallel[1] ?? '';
      if (joined !== '') build.jobs = joined;
      else if (next !== undefined && /^\d+$/.test(next)) {
        build.jobs = next;
        at += 1;
      } else build.unbounded = true;
    } else if (word === '--target' || word === '-t') targets = true;
    else if (/^(--target=|-t)/.test(word))
      build.targets.push(word.replace(/^(--target=|-t=?)/, ''));
    else if (word.startsWith('--config=')) build.config = word.slice('--config='.length);
    else if (word === '--config') {
      build.config = next;
      at += 1;
    } else if (word === '--resolve-package-references') at += 1;
    else if (word === '--preset') {
      build.preset = next;
      at += 1;
    } else if (word.startsWith('--preset=')) build.preset = word.slice('--preset='.length);
    else if (word.startsWith('--list-presets')) return 'only lists presets';
  }
  return build;
}

/** The modes of ninja's -d (`ninja -d list`, 1.11) that change nothing that is made. */
const mode = /^(stats|explain|keepdepfile|keeprsp|nostatcache)$/;

/** Whether the word is "verbose" of ninja, its -d, or the mode of that: a make would understand them otherwise. */
function toNinjaAlone(word: string, at: number, native: readonly string[]): boolean {
  if (word === '-v') return true;
  if (word === '-d') return mode.test(native[at + 1] ?? '');
  if (native[at - 1] === '-d') return mode.test(word);
  return word.startsWith('-d') && mode.test(word.slice(2));
}

/** What the words after `--` are for make or ninja, whichever the folder is configured for. */
function passedOn(
  request: Request,
  native: readonly string[],
): LocalVerdict | Pick<BuildToolFacts, 'targets' | 'variables'> {
  const words = native.filter((word, at) => !toNinjaAlone(word, at, native));
  const ninja = classifyNinja({ ...request, argv: ['ninja', ...words] });
  const make = classifyMake({ ...request, argv: ['make', ...words] });
  const local = [ninja, make].find((each) => each.kind === 'local');
  if (local?.kind === 'local') return { ...local, reason: `cmake --build: ${local.reason}` };
  if (make.kind === 'local' || make.family !== 'make') return { targets: [], variables: new Map() };
  if (make.directory !== request.cwd || make.files.length > 0)
    return heavy('cmake --build passes on another folder or file');
  // `-k 0` of ninja is an option with its value.
  const targets = make.targets.filter((word) => !/^\d+$/.test(word));
  return { targets, variables: make.variables };
}

export function classifyCmake(request: Request): Verdict {
  const words = request.argv.slice(1);
  const first = words[0];
  if (
    first === undefined ||
    /^(--version|-version|\/V|--help.*|-h|-help|-H|--system-information)$/.test(first)
  )
    return light('cmake is only asked for help or its version');
  if (first === '-E') return light('cmake -E runs a small command of its own');
  if (first === '--install') return heavy('cmake --install changes this machine');
  if (first === '-P') return heavy('cmake -P runs a script');
  if (first === '--open') return light('cmake --open opens a program here');
  if (first === '--build' || first.startsWith('--build=')) {
    const tail =
      first === '--build' ? words.slice(1) : [first.slice('--build='.length), ...words.slice(1)];
    return classifyBuild(request, tail);
  }
  return heavy('cmake configures, which looks at this machine');
}

/** The build file with which CMake calls ninja, where the folder has several configurations. */
export function filesOf(configuration: string | undefined): readonly string[] {
  return configuration === undefined ? [] : [`build-${configuration}.ninja`];
}

function classifyBuild(request: Request, words: readonly string[]): Verdict {
  if (words.some((word) => word === '--help' || word === '-h'))
    return light('cmake --build is only asked for help');
  const build = parseBuild(words);
  if (typeof build === 'string') return light(`cmake --build ${build}`);
  const { folder, preset } = build;
  // A preset stands in the files of the working folder, and names the folder to build in.
  if (folder === undefined && preset === undefined) return light('cmake --build without a folder');
  const never = neverTarget('cmake --build', build.targets);
  if (never !== undefined) return never;
  const passed = passedOn(request, build.native);
  if ('kind' in passed) return passed;
  const native = build.native.flatMap((word) => /^-j(\d+)$/.exec(word)?.[1] ?? []).at(-1);
  const jobs = native ?? build.jobs ?? request.env.get('CMAKE_BUILD_PARALLEL_LEVEL');
  return {
    kind: 'candidate',
    family: 'cmake',
    command: 'cmake build',
    cores: coresOf(jobs),
    estimateMs: 10_000,
    tooSmall: undefined,
    directory: posix.resolve(request.cwd, folder ?? '.'),
    ...(folder === undefined && preset !== undefined ? { preset } : {}),
    files: filesOf(build.config),
    folders: [],
    targets: [...build.targets, ...passed.targets],
    variables: passed.variables,
  };
}
