/** The Rust toolchain that is to be on a worker: which it is here, and how it comes there, by shipping or by rustup. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { fail, ok, type Result } from '../../base/result.ts';
import type { DaemonClient } from '../../client/daemon-client.ts';
import type { ToolchainFile } from '../../config/toolchain-schema.ts';
import { ask, firstLine } from '../../facts/answer.ts';
import { findTool } from '../../facts/tools.ts';
import { demoEnvironment } from '../demo/build.ts';
import type { Context } from '../report.ts';
import { quoted, type Step } from './step.ts';

export type RustHere = {
  /** As `RUSTUP_TOOLCHAIN` takes it: a name or a folder; null where rustc is not rustup's. */
  readonly toolchain: string | null;
  /** What `rustc --version` says. */
  readonly version: string;
  /** What rustup, on another machine, is to be asked for. */
  readonly name: string;
  readonly components: readonly string[];
};

const LOOK_MS = 20_000;
const WHY_MS = 30_000;

/** The name of the toolchain that toolchain.toml asks for; undefined: the one that is used in the current folder. */
export function lockedName({ channel, date }: ToolchainFile['rust']): string | undefined {
  return channel === undefined || date === undefined ? channel : `${channel}-${date}`;
}

/**
 * What rustup is to install elsewhere so that it is the same: a release by its number, since `stable` there would be
 * the newest. A nightly is named by a day that rustc does not print, so it is left as it is called.
 */
export function nameFor(toolchain: string | null, version: string): string {
  const release = /^rustc (\d+\.\d+\.\d+) /.exec(version)?.[1];
  if (release !== undefined) return release;
  return (toolchain ?? 'stable').replace(
    /-(?:x86_64|aarch64|i686|armv7|riscv64gc|\w+)-unknown-linux-\w+$/,
    '',
  );
}

/** Components as the toolchain's own list names them: `clippy-preview-x86_64-unknown-linux-gnu`. */
export function lackingComponents(list: string, wanted: readonly string[]): string[] {
  const have = list.split('\n');
  return wanted.filter(
    (name) => !have.some((each) => each === name || each.startsWith(`${name}-`)),
  );
}

function listOf(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, 'lib', 'rustlib', 'components'), 'utf8');
  } catch {
    return undefined;
  }
}

type Chosen = { readonly toolchain: string | null; readonly folder: string };

/** By the daemon, which knows what a build in this folder would use. */
async function choose(
  client: DaemonClient,
  rustc: string,
  { env }: Context,
  rust: ToolchainFile['rust'],
): Promise<Result<Chosen>> {
  const name = lockedName(rust);
  const told = ['HOME', 'RUSTUP_HOME', 'RUSTUP_TOOLCHAIN'].flatMap((key) => {
    const value = env[key];
    return value === undefined ? [] : [`${key}=${value}`];
  });
  const asked = { rustc, cwd: process.cwd(), env: told, ...(name === undefined ? {} : { name }) };
  const reply = await client.call('toolchain', asked, { timeoutMs: LOOK_MS });
  const { components } = rust;
  const more = components.length === 0 ? '' : ` --component ${components.join(',')}`;
  if (!reply.ok)
    return name === undefined
      ? reply
      : fail(`${name} is not installed here`, `rustup toolchain install ${name}${more}`);
  const { rustup, name: found, folder } = reply.value;
  if (!rustup) return ok({ toolchain: null, folder: '' });
  const list = listOf(folder);
  const lacking = list === undefined ? [] : lackingComponents(list, components);
  if (lacking.length === 0) return ok({ toolchain: found ?? folder, folder });
  return fail(
    `${found ?? folder} lacks ${lacking.join(', ')} here`,
    `rustup component add ${lacking.join(' ')} --toolchain ${found ?? folder}`,
  );
}

/** Undefined where this machine has no Rust, and nobody asked for any. */
export async function rustHere(
  context: Context,
  client: DaemonClient,
  rust: ToolchainFile['rust'],
): Promise<Result<RustHere | undefined>> {
  const { env, layout } = context;
  const path = env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin';
  const found = findTool('rustc', { path, skip: [layout.shims] });
  if (found === undefined)
    return lockedName(rust) === undefined
      ? ok(undefined)
      : fail(
          'toolchain.toml names a Rust toolchain, and this machine has none',
          'https://rustup.rs',
        );
  const chosen = await choose(client, found.path, context, rust);
  if (!chosen.ok) return chosen;
  const { toolchain } = chosen.value;
  const said = await ask([found.path, '--version'], {
    path,
    deadline: LOOK_MS,
    env: {
      ...named(toolchain),
      ...kept(env),
      PATH: path,
      RCH_BYPASS: '1',
      RUSTUP_AUTO_INSTALL: '0',
    },
  });
  const version = said?.exit === 0 ? firstLine(said.stdout) : '';
  if (version === '') return fail(`${found.path} does not say its version`, 'rustc --version');
  const name = lockedName(rust) ?? nameFor(toolchain, version);
  return ok({ toolchain, version, name, components: rust.components });
}

const named = (toolchain: string | null): Record<string, string> =>
  toolchain === null ? {} : { RUSTUP_TOOLCHAIN: toolchain };

function kept(env: Context['env']): Record<string, string> {
  return Object.fromEntries(
    ['HOME', 'RUSTUP_HOME', 'CARGO_HOME'].flatMap((key) => {
      const value = env[key];
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

/** Bytes that went over, and ms for the whole of it. */
export type Shipped = { readonly sent: number; readonly ms: number };

/**
 * Compiles a line there, with the toolchain in the same roots as any build has it: what the worker lacked of it is there
 * from then on, and it works.
 */
export async function ship(
  context: Context,
  client: DaemonClient,
  worker: string,
  rust: RustHere,
): Promise<Result<Shipped>> {
  const { layout } = context;
  mkdirSync(layout.cache, { recursive: true, mode: 0o700 });
  const folder = mkdtempSync(join(layout.cache, 'sync-'));
  try {
    writeFileSync(join(folder, 'lib.rs'), 'pub fn here() {}\n');
    const begun = performance.now();
    // env(1) looks the tool up on that PATH, as a shell would.
    const ended = await execa(
      '/usr/bin/env',
      ['rustc', '--crate-type', 'lib', '--emit', 'metadata', 'lib.rs'],
      {
        cwd: folder,
        env: {
          ...demoEnvironment(context),
          ...named(rust.toolchain),
          ...{ RUSTUP_AUTO_INSTALL: '0', RCH_FORCE_REMOTE: '1', RCH_WORKER: worker },
        },
        extendEnv: false,
        reject: false,
        stdin: 'ignore',
        stdout: 'ignore',
        // The launcher draws its progress there.
        stderr: process.stderr.isTTY && !context.json ? 'inherit' : 'pipe',
      },
    );
    const ms = performance.now() - begun;
    const reply = await client.call('why', { cwd: folder }, { timeoutMs: WHY_MS });
    const record = reply.ok ? reply.value.record : undefined;
    if (record?.decision !== 'remote')
      return fail(record?.reason ?? 'the daemon was not asked', 'rch doctor; rch shim status');
    if (ended.exitCode !== 0)
      return fail(
        `rustc ended with ${ended.exitCode ?? 'no code'} there: ${(ended.stderr ?? '').trim()}`,
      );
    return ok({ sent: record.bytes.sent, ms });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const FIND_RUSTUP = 'PATH="$HOME/.cargo/bin:$PATH"; export PATH';

/** A line for sh that prints what such a toolchain of the worker's own rustup says of itself. */
export const rustupQuery = (name: string): string =>
  `${FIND_RUSTUP}; RUSTUP_AUTO_INSTALL=0 rustup run ${quoted(name)} rustc --version 2>/dev/null`;

/** By the worker's own rustup, which is installed first where it is missing, as https://rustup.rs says. */
export function rustupStep({ name, components }: RustHere): Step {
  const more = components.map((each) => ` --component ${each}`).join('');
  return {
    id: 'rustup',
    what: `install Rust ${name} by rustup`,
    why: 'it is asked for by --rustup, for builds that are started there',
    script: [
      FIND_RUSTUP,
      'if ! command -v rustup >/dev/null 2>&1; then',
      '  f=$(mktemp) &&',
      '  { curl --proto \'=https\' --tlsv1.2 -sSf -o "$f" https://sh.rustup.rs || wget -qO "$f" https://sh.rustup.rs; } &&',
      '  sh "$f" -y --no-modify-path --profile minimal --default-toolchain none && rm -f "$f" || exit',
      'fi',
      `rustup toolchain install ${quoted(name)} --profile minimal${more}`,
    ].join('\n'),
    root: false,
  };
}
