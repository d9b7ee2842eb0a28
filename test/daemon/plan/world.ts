import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { aliasesOf } from '../../../daemon/plan/aliases.ts';
import { BuildScanner } from '../../../daemon/plan/build-needs.ts';
import { PlanCaches } from '../../../daemon/plan/caches.ts';
import { findProgram } from '../../../daemon/plan/path-search.ts';
import { plan } from '../../../daemon/plan/plan.ts';
import type { Plan, PlanContext } from '../../../daemon/plan/types.ts';
import { classify } from '../../../daemon/classify/classify.ts';
import type { Result } from '../../../src/base/result.ts';
import type { Request } from '../../../daemon/classify/request.ts';
import type { MachineFacts } from '../../../src/protocol/facts.ts';
import { requestOf } from '../classify/request-of.ts';

export function has(tool: string): boolean {
  return findProgram(tool, process.env['PATH'] ?? '') !== undefined;
}

function packages(): Record<string, string> {
  if (!has('dpkg-query')) return {};
  const format = '${Package}\t${Version}\t${db:Status-Status}\n';
  const text = execFileSync('dpkg-query', ['-W', '-f', format], { encoding: 'utf8' });
  const rows = text.split('\n').map((line) => line.split('\t'));
  return Object.fromEntries(
    rows.flatMap(([name, version, status]) =>
      name !== undefined && version !== undefined && status === 'installed'
        ? [[name, version]]
        : [],
    ),
  );
}

export const machine: MachineFacts = {
  arch: execFileSync('uname', ['-m'], { encoding: 'utf8' }).trim(),
  kernel: '6',
  libc: 'glibc 2.36',
  hostname: 'here',
  system: 'Debian',
  cores: 2,
  memory: 1,
  diskFree: 1,
  cpuModel: 'a CPU',
  cpuFlags: ['fpu'],
  packages: packages(),
  packageManager: has('dpkg-query') ? 'dpkg' : 'none',
  tools: [],
};

export function newContext(more: Partial<PlanContext> = {}): PlanContext {
  return {
    caches: new PlanCaches(),
    scanner: new BuildScanner(),
    withheld: (name) => (name.endsWith('_TOKEN') ? '*_TOKEN' : undefined),
    exclude: [],
    gitLimit: 500e6,
    machine,
    defaultSlots: 2,
    deadlineMs: 60_000,
    ...more,
  };
}

/** A folder of its own with these files; old enough not to count as changing. Removed when the test ends. */
export function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'rch-plan-test-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  put(folder, files);
  return folder;
}

export function put(folder: string, files: Readonly<Record<string, string>>): void {
  const old = new Date(Date.now() - 60_000);
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    utimesSync(path, old, old);
  }
}

export type Asking = {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly context?: PlanContext;
};

export function asked(line: string | readonly string[], { cwd, env = {} }: Asking): Request {
  const argv = typeof line === 'string' ? line.split(' ') : line;
  const all: Record<string, string> = {};
  for (const name of ['PATH', 'HOME', 'CARGO_HOME', 'RUSTUP_HOME']) {
    const value = process.env[name];
    if (value !== undefined) all[name] = value;
  }
  const base = requestOf(argv, { cwd, env: { ...all, ...env } });
  const tool = argv[0] ?? '';
  return { ...base, real: findProgram(tool, base.env.get('PATH') ?? '') ?? `/usr/bin/${tool}` };
}

/** Classifies and plans; fails the test when the command is not even a candidate. */
export async function planOf(
  line: string | readonly string[],
  asking: Asking,
): Promise<Result<Plan>> {
  const context = asking.context ?? newContext();
  const request = asked(line, asking);
  const verdict = classify(request, aliasesOf(request, context.caches));
  if (verdict.kind === 'local') throw new Error(`local: ${verdict.reason}`);
  return plan(request, verdict, context);
}

export async function planned(line: string | readonly string[], asking: Asking): Promise<Plan> {
  const found = await planOf(line, asking);
  if (!found.ok) throw new Error(found.failure.reason);
  return found.value;
}

export async function reasonOf(line: string | readonly string[], asking: Asking): Promise<string> {
  const found = await planOf(line, asking);
  return found.ok ? `planned ${JSON.stringify(found.value.roots)}` : found.failure.reason;
}

export function packageNames(plan: Plan): string[] {
  return plan.requirements.flatMap((each) => (each.kind === 'package' ? [each.name] : []));
}

/** What must be there no more than here. */
export function absentNames(plan: Plan): string[] {
  return plan.requirements.flatMap((each) => (each.kind === 'absent' ? [each.name] : []));
}

export function toolNames(plan: Plan): string[] {
  return plan.requirements.flatMap((each) => (each.kind === 'tool' ? [each.name] : []));
}

export function rootPaths(plan: Plan, policy?: 'project' | 'readOnly'): string[] {
  return plan.roots
    .filter((root) => policy === undefined || root.policy === policy)
    .map((root) => root.path);
}

export const manifest = (name: string, more = ''): string =>
  `[package]\nname = "${name}"\nversion = "0.1.0"\nedition = "2021"\n${more}`;
/** A crate without dependencies. */
export const plain = {
  'Cargo.toml': manifest('p'),
  'src/main.rs': 'fn main() { println!("hi"); }\n',
};

export function lock(cwd: string, env: Record<string, string> = {}): void {
  execFileSync('cargo', ['generate-lockfile', '--offline', '--quiet'], {
    cwd,
    env: { ...process.env, ...env },
  });
}

/** A folder with these files and the lock file that they come to. */
export function project(files: Record<string, string>): string {
  const cwd = folderWith(files);
  lock(cwd);
  return cwd;
}
