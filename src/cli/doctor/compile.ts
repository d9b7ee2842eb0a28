/** `rch doctor`: one file, compiled through the shim on a given worker: sync, run and return as any command has them. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import type { DaemonClient } from '../../client/daemon-client.ts';
import type { HistoryRecord } from '../../protocol/methods.ts';
import { demoEnvironment } from '../demo/build.ts';
import type { Context } from '../report.ts';
import { realTool } from '../shim/tools.ts';
import { duration } from '../render/text.ts';
import { failed, pass, warn, type Check } from './check.ts';
import { atOf } from './worker.ts';

/** ms for one compiler call, on a worker that may be asked for the first time. */
const COMPILE_MS = 120_000;
const WHY_MS = 30_000;

const source = 'int doctor(int x) { return 2 * x + 1; }\n';

type Ran = { readonly code: number | undefined; readonly said: string; readonly hash: string };

async function compile(
  tool: string,
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<Ran> {
  const object = join(folder, 'doctor.o');
  rmSync(object, { force: true });
  // env(1) looks the tool up on that PATH, as a shell would.
  const ended = await execa('/usr/bin/env', [tool, '-c', 'doctor.c', '-o', 'doctor.o'], {
    cwd: folder,
    env,
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
    all: true,
    timeout: COMPILE_MS,
  });
  let hash = '';
  try {
    hash = createHash('sha256').update(readFileSync(object)).digest('hex');
  } catch {
    // Told by its absence.
  }
  return { code: ended.exitCode, said: ended.all.trim().slice(-300), hash };
}

/** What helps against a reason of daemon/select/eligible.ts. */
export function mendOf(worker: string, reason: string): string | undefined {
  const lacking = /lacks the package (\S+)/.exec(reason)?.[1];
  if (lacking !== undefined) return `rch workers setup ${worker} --with ${lacking}`;
  if (/has no /.test(reason)) return `rch workers setup ${worker}`;
  return / there and .* here/.test(reason) ? `rch workers sync ${worker}` : undefined;
}

/** What came of it. `here` is the same compile by the real tool, at the same path. */
function verdictOf(
  worker: string,
  { here, there }: { readonly here: Ran; readonly there: Ran },
  record: HistoryRecord | undefined,
): Check {
  const at = atOf(worker, 'compile');
  const mend = { mend: `rch why ${record?.id.slice(0, 8) ?? ''}`.trimEnd() };
  if (here.code !== 0)
    return warn(at, `the compiler does not work here: ${here.said}`, { mend: 'cc -v' });
  if (record?.decision !== 'remote')
    return failed(at, `it ran here: ${record?.reason ?? 'the daemon was not asked'}`, {
      mend: mendOf(worker, record?.reason ?? '') ?? mend.mend,
    });
  if (there.code !== 0)
    return failed(at, `it ended with ${there.code ?? 'no code'}: ${there.said}`, mend);
  if (there.hash !== here.hash)
    return failed(at, 'the object file differs from one made here', mend);
  const { phases } = record;
  const shown = Object.entries(phases).flatMap(([name, ms]) =>
    ms === undefined ? [] : [`${name} ${duration(ms)}`],
  );
  return pass(at, `one file, equal to one made here: ${shown.join(', ')}`);
}

async function compileIn(
  context: Context,
  client: DaemonClient,
  where: { readonly worker: string; readonly tool: string; readonly folder: string },
): Promise<Check> {
  const { worker, tool, folder } = where;
  const env = demoEnvironment(context);
  writeFileSync(join(folder, 'doctor.c'), source);
  const here = await compile(tool, folder, { ...env, RCH_BYPASS: '1' });
  const there = await compile(tool, folder, { ...env, RCH_FORCE_REMOTE: '1', RCH_WORKER: worker });
  const reply = await client.call('why', { cwd: folder }, { timeoutMs: WHY_MS });
  return verdictOf(worker, { here, there }, reply.ok ? reply.value.record : undefined);
}

/** By the first C compiler that is installed here. */
export async function compileOn(
  context: Context,
  client: DaemonClient,
  worker: string,
): Promise<Check> {
  const { layout, env } = context;
  const tool = ['cc', 'gcc', 'clang'].find(
    (name) => realTool(layout, env['PATH'] ?? '', name) !== undefined,
  );
  if (tool === undefined)
    return warn(atOf(worker, 'compile'), 'not tried: there is no C compiler here', {
      mend: 'sudo apt-get install gcc',
    });
  mkdirSync(layout.cache, { recursive: true, mode: 0o700 });
  const folder = mkdtempSync(join(layout.cache, 'doctor-'));
  try {
    return await compileIn(context, client, { worker, tool, folder });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
