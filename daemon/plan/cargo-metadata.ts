/** What cargo itself says of a workspace, asked without changing anything (`--locked --offline`). */
import { posix } from 'node:path';
import { z } from 'zod';
import { fail, ok, type Result } from '../../src/base/result.ts';
import type { CargoFacts } from '../classify/verdict.ts';
import type { Request } from '../classify/request.ts';
import { rawOf } from './files.ts';
import type { Watch } from './stat-cache.ts';
import { askingEnvironment, runTool } from './run-tool.ts';

const cargoPackage = z.object({
  name: z.string(),
  version: z.string(),
  id: z.string(),
  source: z.string().nullable(),
  manifest_path: z.string(),
  links: z.string().nullish(),
  /** Those of optional dependencies too. */
  features: z.record(z.string(), z.unknown()),
  targets: z.array(z.object({ name: z.string(), kind: z.array(z.string()), src_path: z.string() })),
});
export type CargoPackage = z.infer<typeof cargoPackage>;

/** What a package really depends on, with the features that are on. */
const cargoNode = z.object({
  id: z.string(),
  features: z.array(z.string()),
  deps: z.array(
    z.object({ pkg: z.string(), dep_kinds: z.array(z.object({ kind: z.string().nullish() })) }),
  ),
});

const cargoMetadata = z.object({
  packages: z.array(cargoPackage),
  resolve: z.object({ nodes: z.array(cargoNode) }).nullish(),
  workspace_members: z.array(z.string()),
  workspace_root: z.string(),
  target_directory: z.string(),
  /** Since cargo 1.91. */
  build_directory: z.string().nullish(),
});

export type CargoMetadata = z.infer<typeof cargoMetadata> & {
  /** False: only the workspace itself could be read; crates are missing or the lock file is stale. */
  readonly complete: boolean;
  /** Why it is not complete, in cargo's words. */
  readonly trouble: string;
};

export type MetadataQuestion = {
  readonly request: Request;
  readonly cargo: CargoFacts;
  /** Target triples whose dependencies count. */
  readonly platforms: readonly string[];
  readonly deadlineMs: number;
};

/** The options that choose toolchain, manifest and configuration, as the caller gave them. */
export function sameWorkspace(cargo: CargoFacts, cwd: string): { head: string[]; tail: string[] } {
  const head = [
    ...(cargo.toolchain === undefined ? [] : [`+${cargo.toolchain}`]),
    ...(cargo.directory === cwd ? [] : ['-C', cargo.directory]),
    ...cargo.unstable.flatMap((each) => ['-Z', each]),
    ...cargo.configs.flatMap((each) => ['--config', each]),
  ];
  const tail = [
    ...(cargo.manifestPath === undefined ? [] : ['--manifest-path', cargo.manifestPath]),
    ...(cargo.lockfilePath === undefined ? [] : ['--lockfile-path', cargo.lockfilePath]),
  ];
  return { head, tail };
}

function questions({ request, cargo, platforms }: MetadataQuestion): string[][] {
  const { head, tail } = sameWorkspace(cargo, request.cwd);
  const base = [request.real, ...head, 'metadata', '--format-version=1', '--locked', '--offline'];
  const features = [
    ...cargo.features.named.flatMap((each) => ['--features', each]),
    ...(cargo.features.all ? ['--all-features'] : []),
    ...(cargo.features.noDefault ? ['--no-default-features'] : []),
  ];
  const filters = platforms.flatMap((each) => ['--filter-platform', each]);
  return [
    [...base, ...tail, ...features, ...filters],
    [...base, ...tail, '--no-deps'],
  ];
}

function firstError(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  return (lines.find((line) => line.startsWith('error')) ?? lines[0] ?? '').replace(/^error: /, '');
}

function parsed(text: string): Result<z.infer<typeof cargoMetadata>> {
  try {
    const checked = cargoMetadata.safeParse(JSON.parse(text));
    return checked.success
      ? ok(checked.data)
      : fail(`cargo metadata said something unexpected: ${checked.error.message}`);
  } catch {
    return fail('cargo metadata did not answer in JSON');
  }
}

function rawPaths(value: z.infer<typeof cargoMetadata>): z.infer<typeof cargoMetadata> {
  return {
    ...value,
    workspace_root: rawOf(value.workspace_root),
    target_directory: rawOf(value.target_directory),
    build_directory:
      value.build_directory == null ? value.build_directory : rawOf(value.build_directory),
    packages: value.packages.map((each) => ({
      ...each,
      manifest_path: rawOf(each.manifest_path),
      targets: each.targets.map((target) => ({ ...target, src_path: rawOf(target.src_path) })),
    })),
  };
}

/** Asks for everything, and when that fails for the workspace alone. */
export async function askMetadata(question: MetadataQuestion): Promise<Result<CargoMetadata>> {
  const [whole = [], alone = []] = questions(question);
  const run = {
    cwd: question.request.cwd,
    env: askingEnvironment(question.request),
    deadlineMs: question.deadlineMs,
  };
  const first = await runTool({ ...run, argv: whole });
  if (first === undefined) return fail('cargo metadata did not answer in time');
  if (first.exit === 0) {
    const value = parsed(first.stdout);
    return value.ok ? ok({ ...rawPaths(value.value), complete: true, trouble: '' }) : value;
  }
  const second = await runTool({ ...run, argv: alone });
  if (second === undefined) return fail('cargo metadata did not answer in time');
  if (second.exit !== 0) return fail(`cargo cannot read the project: ${firstError(second.stderr)}`);
  const value = parsed(second.stdout);
  if (!value.ok) return value;
  return ok({ ...rawPaths(value.value), complete: false, trouble: firstError(first.stderr) });
}

/**
 * The files and folders whose change may change the answer: manifests and the folders where cargo finds members
 * and targets by name, the lock file, and the folders that hold the crates.
 */
export function watchMetadata(value: CargoMetadata, watch: Watch): void {
  watch(`${value.workspace_root}/Cargo.lock`);
  watch(`${value.workspace_root}/Cargo.toml`);
  const target = value.target_directory;
  const look = (path: string): void => {
    watch(path, path === posix.dirname(target) ? posix.basename(target) : '');
  };
  for (const each of value.packages) {
    const folder = posix.dirname(each.manifest_path);
    look(posix.dirname(folder));
    if (each.source !== null) continue;
    watch(each.manifest_path);
    for (const name of ['', '/src', '/src/bin', '/tests', '/examples', '/benches', '/build.rs'])
      look(folder + name);
  }
}
