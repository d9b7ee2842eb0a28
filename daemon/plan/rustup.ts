/**
 * Which toolchain rustup's proxies would take, by its own order (https://rust-lang.github.io/rustup/overrides.html):
 * `+name`, RUSTUP_TOOLCHAIN, then folder by folder upwards an override of settings.toml or a toolchain file, then
 * the default. Asking rustup itself might install something.
 */
import { posix } from 'node:path';
import { parse } from 'smol-toml';
import { fail, ok, type Result } from '../../src/base/result.ts';
import {
  absolute,
  isFile,
  isFolder,
  namesIn,
  rawOf,
  readRaw,
  realPath,
  stampOf,
  upwards,
} from './files.ts';

export type Toolchain = {
  /** RUSTUP_HOME. */
  readonly home: string;
  /** Its name in `toolchains`, or undefined for one that a path names. */
  readonly name: string | undefined;
  /** The toolchain file that names it by its path: a project's word, whose programs then are a project's. */
  readonly byPathIn: string | undefined;
  /** The folder with bin and lib, symlinks resolved. */
  readonly folder: string;
  /** x86_64-unknown-linux-gnu. */
  readonly host: string;
};

type Wanted = {
  readonly name: string;
  readonly components: string[];
  readonly targets: string[];
  readonly path?: string;
  /** The toolchain file that says so. */
  readonly file?: string;
  /** Nothing can be said of the file. */
  readonly unreadable?: true;
};

function table(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function tomlOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return table(parse(Buffer.from(text, 'latin1').toString('utf8')));
  } catch {
    return undefined;
  }
}

const strings = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];

function fromFile(folder: string): Wanted | undefined {
  for (const name of ['rust-toolchain', 'rust-toolchain.toml']) {
    const file = `${folder}/${name}`;
    if (!isFile(file)) continue;
    const text = readRaw(file, 1 << 16);
    const none = { components: [], targets: [], file };
    if (name === 'rust-toolchain' && text?.includes('[') === false)
      return { name: text.trim(), ...none };
    const whole = text === undefined ? undefined : tomlOf(text);
    if (whole === undefined) return { name: '', unreadable: true, ...none };
    const value = table(whole['toolchain']);
    const { channel, path } = value;
    const lists = { components: strings(value['components']), targets: strings(value['targets']) };
    if (typeof path === 'string')
      return { name: '', path: absolute(rawOf(path), folder), file, ...lists };
    if (typeof channel === 'string') return { name: channel, file, ...lists };
  }
  return undefined;
}

function wanted(home: string, cwd: string, env: ReadonlyMap<string, string>): Wanted | undefined {
  const named = env.get('RUSTUP_TOOLCHAIN');
  if (named !== undefined && named !== '') return { name: named, components: [], targets: [] };
  const settings = tomlOf(readRaw(`${home}/settings.toml`, 1 << 20) ?? '') ?? {};
  const overrides = table(settings['overrides']);
  for (const folder of upwards(cwd)) {
    const override = overrides[Buffer.from(folder, 'latin1').toString('utf8')];
    if (typeof override === 'string') return { name: override, components: [], targets: [] };
    const file = fromFile(folder);
    if (file !== undefined) return file;
  }
  const standard = settings['default_toolchain'];
  return typeof standard === 'string' ? { name: standard, components: [], targets: [] } : undefined;
}

/** `stable` stands for `stable-HOST`; a custom toolchain has no host in its name. */
function installed(home: string, name: string, hosts: readonly string[]): string | undefined {
  const names = [name, ...hosts.map((host) => `${name}-${host}`)];
  return names.find((each) => isFolder(`${home}/toolchains/${each}`));
}

function hostOf(folder: string, name: string, arch: string): string {
  const inName =
    /-((?:x86_64|aarch64|i686|armv7|riscv64gc|powerpc64le|s390x|loongarch64)-.+)$/.exec(name)?.[1];
  if (inName !== undefined) return inName;
  const targets = namesIn(`${folder}/lib/rustlib`).filter((each) => each.startsWith(`${arch}-`));
  return targets[0] ?? `${arch}-unknown-linux-gnu`;
}

export function rustupHomeOf(env: ReadonlyMap<string, string>, cwd: string): string {
  const named = env.get('RUSTUP_HOME');
  if (named !== undefined && named !== '') return absolute(named, cwd);
  return absolute('.rustup', env.get('HOME') ?? '/');
}

/** Names of installed components, as the toolchain's manifest lists them: `clippy-preview-x86_64-…`, `rust-std-…`. */
function components(folder: string): string[] {
  return (readRaw(`${folder}/lib/rustlib/components`, 1 << 20) ?? '')
    .split('\n')
    .filter((each) => each !== '');
}

function lacking(folder: string, want: Wanted): string | undefined {
  const have = components(folder);
  if (have.length === 0) return undefined;
  const missing = want.components.find(
    (name) => !have.some((each) => each === name || each.startsWith(`${name}-`)),
  );
  return missing ?? want.targets.find((target) => !isFolder(`${folder}/lib/rustlib/${target}`));
}

export type ToolchainQuestion = {
  /** From the command line, without the plus. */
  readonly plus: string | undefined;
  readonly cwd: string;
  readonly env: ReadonlyMap<string, string>;
  readonly arch: string;
};

export function toolchainOf({ plus, cwd, env, arch }: ToolchainQuestion): Result<Toolchain> {
  const home = rustupHomeOf(env, cwd);
  const want =
    plus === undefined ? wanted(home, cwd, env) : { name: plus, components: [], targets: [] };
  if (want === undefined) return fail('rustup has no default toolchain');
  if (want.unreadable === true)
    return fail(`${want.file ?? ''} cannot be read: rustup's own message is right`);
  const path = want.path ?? (want.name.includes('/') ? absolute(want.name, cwd) : undefined);
  if (path !== undefined) {
    const folder = realPath(path);
    if (folder === undefined) return fail(`the toolchain ${path} is not there`);
    const host = hostOf(folder, '', arch);
    return ok({ home, name: undefined, byPathIn: want.file, folder, host });
  }
  const hosts = [`${arch}-unknown-linux-gnu`, `${arch}-unknown-linux-musl`];
  const name = installed(home, want.name, hosts);
  if (name === undefined)
    return fail(`the toolchain ${want.name} is not installed: rustup's own message is right`);
  const folder = realPath(`${home}/toolchains/${name}`) ?? `${home}/toolchains/${name}`;
  const missing = lacking(folder, want);
  if (missing !== undefined)
    return fail(`the toolchain file asks for ${missing}, which rustup would install first`);
  return ok({ home, name, byPathIn: undefined, folder, host: hostOf(folder, name, arch) });
}

/** Why the toolchain cannot do what the subcommand needs, or undefined. */
export function missingComponent(
  toolchain: Toolchain,
  subcommand: string,
  targets: readonly string[],
): string | undefined {
  const { folder } = toolchain;
  if (subcommand === 'clippy' && !isFile(`${folder}/bin/cargo-clippy`))
    return 'clippy is not installed in this toolchain';
  if (subcommand === 'doc' && !isFile(`${folder}/bin/rustdoc`)) return 'rustdoc is not installed';
  const absent = targets.find(
    (target) =>
      !target.endsWith('.json') &&
      target !== 'host-tuple' &&
      !isFolder(`${folder}/lib/rustlib/${target}/lib`),
  );
  return absent === undefined
    ? undefined
    : `the target ${absent} is not installed in this toolchain`;
}

/**
 * What of RUSTUP_HOME travels, and what lies outside it. `share/doc` and `share/man` change no build. Since rustup 1.29
 * each call of a proxy makes sure that `update-hashes` is there (get_hash_file in its src/config.rs), and fails where
 * it can't be made.
 */
export function toolchainParts(toolchain: Toolchain): {
  readonly only: string[];
  readonly skip: string[];
  readonly outside: string | undefined;
} {
  const { home, name, folder } = toolchain;
  const only = isFile(`${home}/settings.toml`) ? ['settings.toml'] : [];
  if (isFolder(`${home}/update-hashes`)) only.push('update-hashes');
  if (name !== undefined) only.push(`toolchains/${name}`);
  const within = folder.startsWith(`${home}/`) ? folder.slice(home.length + 1) : undefined;
  if (within === undefined) return { only, skip: [], outside: folder };
  if (!only.includes(within)) only.push(within);
  return {
    only,
    skip: ['share/doc', 'share/man'].map((each) => `${within}/${each}`),
    outside: undefined,
  };
}

/** Whether a program is one of rustup's proxies: they are links, symbolic or hard, to `rustup` beside them. */
export function isRustupProxy(program: string): boolean {
  const real = realPath(program);
  if (real === undefined) return false;
  if (/(^|\/)rustup(-init)?$/.test(real)) return true;
  const beside = `${posix.dirname(real)}/rustup`;
  return isFile(beside) && stampOf(beside) === stampOf(real);
}
