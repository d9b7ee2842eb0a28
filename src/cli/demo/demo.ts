/**
 * `rch demo`: a small C project by make and a small Rust crate by cargo, through the shims, on a worker that is a
 * child of the daemon; with the proof that the result is that of a local build. Changes no configuration.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { demoMark } from '../../base/layout.ts';
import { ok, type Result } from '../../base/result.ts';
import type { DaemonClient } from '../../client/daemon-client.ts';
import { ensureDaemon } from '../../client/daemon-process.ts';
import { loadConfig } from '../../config/load.ts';
import { exitCodes, type Context, type Outcome } from '../report.ts';
import { linkedTools, makeLinks } from '../shim/tools.ts';
import { buildTwice, works, type Built } from './build.ts';
import { cProject, rustProject, type Project } from './projects.ts';
import { demoText, proved } from './text.ts';
import { awaitWorker, forgetWorker, markWorker } from './worker.ts';

/** The projects whose tools are here, and a word about those left out. */
async function possible(context: Context): Promise<{ projects: Project[]; notes: string[] }> {
  const projects: Project[] = [];
  const notes: string[] = [];
  if ((await works(context, 'make')) && (await works(context, 'cc'))) projects.push(cProject);
  else notes.push('the C half was left out: there is no make or no cc here');
  if (await works(context, 'cargo')) projects.push(rustProject);
  else
    notes.push(
      'the Rust half was left out: no cargo works here (rustup default stable, or: apt-get install cargo)',
    );
  return { projects, notes };
}

async function buildAll(
  context: Context,
  projects: readonly Project[],
  options: { base: string; worker: string; client: DaemonClient },
): Promise<Result<Built[]>> {
  const builds: Built[] = [];
  for (const project of projects) {
    context.note(`building ${project.name}, here and on the worker …`);
    if (project.tool === 'cargo')
      context.note(
        '  the first time, the Rust toolchain is brought to the worker, which takes a while',
      );
    const folder = join(options.base, project.tool);
    const built = await buildTwice(context, project, { ...options, folder });
    if (!built.ok) return built;
    builds.push(built.value);
  }
  return ok(builds);
}

export async function demo(context: Context, keep: boolean): Promise<Outcome> {
  const { layout, env } = context;
  const config = loadConfig(layout, env);
  if (!config.ok) return config;
  if (linkedTools(layout).length === 0) {
    const links = makeLinks(layout, env['PATH'] ?? '', []);
    if (!links.ok) return links;
  }
  context.note('starting the daemon, with a worker that is a process of this machine …');
  const client = await ensureDaemon(layout, { explicit: true });
  if (!client.ok) return client;
  const worker = markWorker(layout, config.value.config.workers);
  mkdirSync(layout.cache, { recursive: true, mode: 0o700 });
  const base = mkdtempSync(join(layout.cache, 'demo-'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      rmSync(demoMark(layout), { force: true });
      rmSync(base, { recursive: true, force: true });
      process.kill(process.pid, signal);
    });
  try {
    await client.value.call('reload', {}, { timeoutMs: 60_000 });
    const ready = await awaitWorker(context, client.value, worker);
    if (!ready.ok) return ready;
    const { projects, notes } = await possible(context);
    const builds = await buildAll(context, projects, { base, worker, client: client.value });
    if (!builds.ok) return builds;
    const good = builds.value.length > 0 && builds.value.every(proved);
    return ok({
      facts: { ok: good, builds: builds.value, notes },
      text: (look) => demoText(builds.value, [...notes, ...(keep ? [`kept: ${base}`] : [])], look),
      exit: good ? exitCodes.done : exitCodes.failed,
    });
  } finally {
    await forgetWorker(layout, client.value);
    client.value.close();
    if (!keep) rmSync(base, { recursive: true, force: true });
  }
}
