/** cmake: only `--build` of a configured folder goes elsewhere. */
import { posix } from 'node:path';
import { coresOf } from './cores.ts';
import { neverTarget } from './never-targets.ts';
import type { Request } from './request.ts';
import { heavy, light, type Verdict } from './verdict.ts';

type Build = {
  folder: string | undefined;
  targets: string[];
  jobs: string | undefined;
  unbounded: boolean;
  native: readonly string[];
};

/** `cmake --build <dir> [options] [-- native-options]`, cmake(1) 3.25. -j and -t may be joined. */
function parseBuild(words: readonly string[]): Build | string {
  const build: Build = {
    folder: undefined,
    targets: [],
    jobs: undefined,
    unbounded: false,
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
    else if (word === '--config' || word === '--resolve-package-references') at += 1;
    else if (word.startsWith('--preset') || word === '--list-presets')
      return 'a preset names the folder';
  }
  return build;
}

const nativeQueries = /^(-n|--dry-run|--just-print|-q|-p|-t|--version|--help|-h)$/;

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

function classifyBuild(request: Request, words: readonly string[]): Verdict {
  if (words.some((word) => word === '--help' || word === '-h'))
    return light('cmake --build is only asked for help');
  const build = parseBuild(words);
  if (typeof build === 'string') return heavy(`cmake --build: ${build}`);
  if (build.folder === undefined) return light('cmake --build without a folder');
  const never = neverTarget('cmake --build', build.targets);
  if (never !== undefined) return never;
  if (build.native.some((word) => nativeQueries.test(word)))
    return light('cmake --build passes on an option that only asks');
  const native = build.native.flatMap((word) => /^-j(\d+)$/.exec(word)?.[1] ?? []).at(-1);
  const jobs = native ?? build.jobs ?? request.env.get('CMAKE_BUILD_PARALLEL_LEVEL');
  return {
    kind: 'candidate',
    family: 'cmake',
    command: 'cmake build',
    cores: coresOf(jobs),
    estimateMs: 10_000,
    tooSmall: undefined,
    directory: posix.resolve(request.cwd, build.folder),
    files: [],
    folders: [],
    targets: build.targets,
    variables: new Map(),
  };
}
