/**
 * Which folder `cmake --build --preset NAME` builds in: cmake-presets(7). What a preset says besides (configuration, jobs,
 * native options) CMake reads there as it does here.
 */
import { posix } from 'node:path';
import { z } from 'zod';
import { fail, ok, type Result } from '../../src/base/result.ts';
import { absolute, rawOf, readRaw } from './files.ts';

const preset = z.object({
  name: z.string(),
  inherits: z.union([z.string(), z.array(z.string())]).optional(),
  binaryDir: z.string().optional(),
  configurePreset: z.string().optional(),
  environment: z.record(z.string(), z.unknown()).optional(),
  targets: z.union([z.string(), z.array(z.string())]).optional(),
  jobs: z.number().optional(),
  configuration: z.string().optional(),
  nativeToolOptions: z.array(z.string()).optional(),
});
const presetFile = z.object({
  include: z.array(z.string()).optional(),
  configurePresets: z.array(preset).optional(),
  buildPresets: z.array(preset).optional(),
});

type Preset = z.infer<typeof preset>;
type Presets = {
  readonly configure: Map<string, Preset>;
  readonly build: Map<string, Preset>;
  /** Where the files with presets lie. */
  readonly folders: Set<string>;
};

export type PresetBuild = {
  readonly directory: string;
  readonly targets: readonly string[];
  /** Of a generator with several. */
  readonly configuration: string | undefined;
  /** Folders of the files that CMake reads presets from. */
  readonly folders: readonly string[];
};

const MOST_FILES = 100;

function parsed(text: string): z.infer<typeof presetFile> | undefined {
  try {
    return presetFile.safeParse(JSON.parse(Buffer.from(text, 'latin1').toString('utf8'))).data;
  } catch {
    return undefined;
  }
}

/** The presets of the source folder and of the files these include; undefined when one cannot be understood. */
function presetsOf(source: string): Presets | undefined {
  const found: Presets = { configure: new Map(), build: new Map(), folders: new Set() };
  const pending = ['CMakeUserPresets.json', 'CMakePresets.json'].map((name) => `${source}/${name}`);
  const seen = new Set<string>();
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    const text = readRaw(path);
    if (text === undefined && posix.dirname(path) === source) continue;
    const file = text === undefined ? undefined : parsed(text);
    if (file === undefined || seen.size > MOST_FILES) return undefined;
    found.folders.add(posix.dirname(path));
    for (const each of file.include ?? []) {
      if (each.includes('$')) return undefined;
      pending.push(absolute(rawOf(each), posix.dirname(path)));
    }
    for (const each of file.configurePresets ?? []) found.configure.set(each.name, each);
    for (const each of file.buildPresets ?? []) found.build.set(each.name, each);
  }
  return found;
}

const listOf = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value;

/** The preset with what it inherits, its own fields first, then those of the first it names and of what that inherits. */
function whole(all: ReadonlyMap<string, Preset>, name: string): Preset | undefined {
  let result: Preset | undefined;
  const pending = [name];
  const seen = new Set<string>();
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    if (seen.has(next)) continue;
    seen.add(next);
    const own = all.get(next);
    if (own === undefined) return undefined;
    result = { ...own, ...result };
    pending.unshift(...listOf(own.inherits));
  }
  return result;
}

/** `binaryDir` with the macros that this machine's files alone decide; undefined where others are in it. */
function expanded(text: string, source: string, name: string): string | undefined {
  const known: Readonly<Record<string, string>> = {
    sourceDir: source,
    sourceParentDir: posix.dirname(source),
    sourceDirName: posix.basename(source),
    presetName: rawOf(name),
    hostSystemName: 'Linux',
  };
  const path = rawOf(text).replace(/\$\{(\w+)\}/g, (macro, key: string) => known[key] ?? macro);
  return path.includes('$') ? undefined : absolute(path, source);
}

export function presetBuild(source: string, name: string): Result<PresetBuild> {
  const presets = presetsOf(source);
  if (presets === undefined) return fail('cmake --build: the presets cannot be understood');
  const build = whole(presets.build, name);
  const configure =
    build?.configurePreset === undefined
      ? undefined
      : whole(presets.configure, build.configurePreset);
  if (build === undefined || configure?.binaryDir === undefined)
    return fail(`cmake --build: the folder of the preset ${name} cannot be told`);
  if (build.environment !== undefined || configure.environment !== undefined)
    return fail(`cmake --build: the preset ${name} sets variables`);
  const passed = build.nativeToolOptions?.find((word) => !/^-(v|[jkl][\d.]*)$/.test(word));
  if (passed !== undefined) return fail(`cmake --build: the preset ${name} passes on ${passed}`);
  const directory = expanded(configure.binaryDir, source, configure.name);
  if (directory === undefined)
    return fail(`cmake --build: the folder of the preset ${name} depends on the environment`);
  return ok({
    directory,
    targets: listOf(build.targets).map(rawOf),
    configuration: build.configuration,
    folders: [...presets.folders],
  });
}
