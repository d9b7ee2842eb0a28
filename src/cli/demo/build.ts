/** Builds one project of the demo twice at one path, here and on the worker, and compares. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fail, ok, type Result } from '../../base/result.ts';
import type { DaemonClient } from '../../client/daemon-client.ts';
import type { HistoryRecord } from '../../protocol/methods.ts';
import type { Context } from '../report.ts';
import { layProject, type Project } from './projects.ts';

export type Built = {
  readonly project: string;
  readonly command: string;
  /** Null: the worker was not used; `reason` says why. */
  readonly worker: string | null;
  readonly reason: string;
  readonly record: HistoryRecord | null;
  /** ms of the same build with the real tools. */
  readonly localMs: number;
  readonly remoteMs: number;
  readonly products: readonly {
    readonly file: string;
    readonly hash: string;
    readonly same: boolean;
  }[];
  /** Built again here, nothing was left to do. */
  readonly fresh: boolean;
};

type Ended = { readonly code: number; readonly text: string; readonly ms: number };

/** Settings of the caller that would change what the demo shows. */
const disturbing = /^(RCH_|CARGO_TARGET_DIR$|CARGO_BUILD_|MAKEFLAGS$|MFLAGS$|MAKELEVEL$)/;

export function demoEnvironment({ env, layout }: Context): Record<string, string> {
  const kept = Object.entries(env).flatMap(([name, value]) =>
    value === undefined || disturbing.test(name) ? [] : [[name, value] as const],
  );
  const PATH = [layout.shims, env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'].join(delimiter);
  return { ...Object.fromEntries(kept), PATH };
}

type RunOptions = {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** Is given the output, whole lines of each stream at a time. */
  readonly show?: (text: string) => void;
};

/** Hands on what ends with a line's end; `over`: the rest. */
function byLines(show: (text: string) => void): { add: (piece: string) => void; over: () => void } {
  let rest = '';
  const over = (): void => {
    if (rest !== '') show(rest);
    rest = '';
  };
  return {
    add: (piece) => {
      const end = piece.lastIndexOf('\n') + 1;
      if (end > 0) show(rest + piece.slice(0, end));
      rest = end > 0 ? piece.slice(end) : rest + piece;
    },
    over,
  };
}

function run(argv: readonly string[], options: RunOptions): Promise<Result<Ended>> {
  const begun = performance.now();
  // env(1) looks the tool up on the PATH of the demo, as a shell would.
  const child = spawn('/usr/bin/env', [...argv], {
    cwd: options.folder,
    env: options.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    const lines = byLines(options.show ?? (() => undefined));
    stream.setEncoding('utf8').on('end', lines.over);
    stream.on('data', (piece: string) => {
      text += piece;
      lines.add(piece);
    });
  }
  return new Promise((resolve) => {
    child.once('error', (error) => {
      resolve(fail(error.message));
    });
    child.once('close', (code, signal) => {
      const ms = performance.now() - begun;
      if (signal !== null) resolve(fail(`${argv.join(' ')} died of ${signal}`));
      else resolve(ok({ code: code ?? 0, text, ms }));
    });
  });
}

function hashOf(file: string): string {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('hex');
  } catch {
    return 'missing';
  }
}

const hashes = (project: Project, folder: string): string[] =>
  project.products.map((product) => hashOf(join(folder, product)));

/** Lays the project afresh and builds it. */
async function buildAfresh(project: Project, options: RunOptions): Promise<Result<Ended>> {
  rmSync(options.folder, { recursive: true, force: true });
  mkdirSync(options.folder, { recursive: true });
  layProject(project, options.folder);
  const ended = await run(project.argv, options);
  if (!ended.ok) return ended;
  const { code, text } = ended.value;
  return code === 0 ? ended : fail(`${project.argv.join(' ')} ended with ${code}:\n${text}`);
}

export type BuildOptions = {
  readonly folder: string;
  readonly worker: string;
  readonly client: DaemonClient;
};

/** Local build, remote build, comparison, and a local build once more. */
export async function buildTwice(
  context: Context,
  project: Project,
  { folder, worker, client }: BuildOptions,
): Promise<Result<Built>> {
  const env = demoEnvironment(context);
  const bypass = { ...env, RCH_BYPASS: '1' };
  const local = await buildAfresh(project, { folder, env: bypass });
  if (!local.ok) return local;
  const expected = hashes(project, folder);
  const forced = { ...env, RCH_FORCE_REMOTE: '1', RCH_WORKER: worker, RCH_VERBOSE: '1' };
  const show = (text: string): void => {
    context.note(text.trimEnd().replace(/^/gm, '    '));
  };
  const remote = await buildAfresh(project, { folder, env: forced, show });
  if (!remote.ok) return remote;
  const made = hashes(project, folder);
  const again = await run(project.again.argv, { folder, env: bypass });
  if (!again.ok) return again;
  const record = await recordOf(client, folder);
  return ok({
    project: project.name,
    command: project.argv.join(' '),
    worker: record?.decision === 'remote' ? record.worker : null,
    reason: record?.reason ?? 'the daemon was not asked',
    record: record ?? null,
    localMs: local.value.ms,
    remoteMs: remote.value.ms,
    products: project.products.map((file, index) => ({
      file,
      hash: made[index] ?? '',
      same: made[index] === expected[index] && made[index] !== 'missing',
    })),
    fresh:
      again.value.code === 0 &&
      project.again.fresh.test(again.value.text) &&
      !project.again.stale.test(again.value.text),
  });
}

/** The newest decision about a command in `folder`. */
async function recordOf(client: DaemonClient, folder: string): Promise<HistoryRecord | undefined> {
  const reply = await client.call('why', { cwd: folder }, { timeoutMs: 30_000 });
  return reply.ok ? reply.value.record : undefined;
}

/** Whether the tool is there and works; a proxy of rustup without a toolchain does not. */
export async function works(context: Context, tool: string): Promise<boolean> {
  const env = { ...demoEnvironment(context), RCH_BYPASS: '1' };
  const ended = await run([tool, '--version'], { folder: '/', env });
  return ended.ok && ended.value.code === 0;
}
