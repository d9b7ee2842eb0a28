/** Plans cargo: workspace, crates, toolchain, target folders, build scripts. */
import { posix } from 'node:path';
import { fail, ok, type Failure, type Result } from '../../src/base/result.ts';
import { cargoHomeOf, readCargoConfig, type CargoConfig } from './cargo-config.ts';
import { cargoHomeFolders, cargoHomeParts } from './cargo-home.ts';
import { lockFiles, lockText } from './cargo-lock.ts';
import { askMetadata, sameWorkspace, watchMetadata, type CargoMetadata } from './cargo-metadata.ts';
import { mayDoWithout, preflight } from './cargo-preflight.ts';
import { filledByCargo, targetFolders } from './cargo-target.ts';
import type { CargoVerdict, CargoView } from './cargo-view.ts';
import { takeCrateNeeds } from './cargo-crates.ts';
import { takeConfiguredPrograms } from './cargo-programs.ts';
import { finish, takeEnvironmentPaths, takeLinks, takeWorkingFolder, type Draft } from './draft.ts';
import { absolute, isFile, isWithin, realPath, upwards } from './files.ts';
import { projectOf } from './project.ts';
import { machineTriple, takeToolchain } from './toolchain.ts';
import type { Plan } from './types.ts';

function configOf(draft: Draft, verdict: CargoVerdict, home: string): CargoConfig {
  const { directory, configs } = verdict;
  return draft.context.caches.configs.getSync([directory, home, ...configs].join('\0'), (watch) =>
    readCargoConfig(directory, home, watch, configs),
  );
}

/** Everything that may change what cargo metadata says, besides files. */
function metadataKey(draft: Draft, verdict: CargoVerdict, platforms: readonly string[]): string {
  const { request } = draft;
  const env = [...request.env].filter(([name]) => /^(CARGO|RUST|HOME$|PATH$)/.test(name)).sort();
  const { head, tail } = sameWorkspace(verdict, request.cwd);
  return JSON.stringify([request.real, request.cwd, head, tail, verdict.features, platforms, env]);
}

function metadataOf(
  draft: Draft,
  verdict: CargoVerdict,
  view: { config: CargoConfig; home: string; platforms: readonly string[] },
): Promise<Result<CargoMetadata>> {
  const { request, context } = draft;
  return context.caches.metadata.get(metadataKey(draft, verdict, view.platforms), async (watch) => {
    for (const file of view.config.files) watch(file);
    for (const folder of cargoHomeFolders(view.home)) watch(folder);
    const manifest = verdict.manifestPath ?? 'Cargo.toml';
    watch(absolute(manifest, verdict.directory));
    const found = await askMetadata({
      request,
      cargo: verdict,
      platforms: view.platforms,
      deadlineMs: context.deadlineMs,
    });
    if (found.ok) {
      watchMetadata(found.value, watch);
      const root = found.value.workspace_root;
      for (const file of lockFiles(request, verdict, view.config, root)) watch(file);
    } else watch(`${request.cwd}/Cargo.toml`);
    return found;
  });
}

/** `cargo fetch` as the caller would have it, for when the lock file or crates are missing. */
function fetchArgv(draft: Draft, verdict: CargoVerdict, platforms: readonly string[]): string[] {
  const { head, tail } = sameWorkspace(verdict, draft.request.cwd);
  const targets = platforms.flatMap((each) => ['--target', each]);
  const asked = [...verdict.voice, ...(verdict.locked ? ['--locked'] : [])];
  return [draft.request.argv[0] ?? 'cargo', ...head, 'fetch', ...tail, ...asked, ...targets];
}

function firstPlan(
  draft: Draft,
  verdict: CargoVerdict,
  metadata: CargoMetadata,
  platforms: readonly string[],
): Result<Plan> {
  const { request, context } = draft;
  if (verdict.offline)
    return fail(`crates are missing and --offline is given: ${metadata.trouble}`);
  if (context.fetched === true)
    return fail(`cargo fetch did not bring what the build needs: ${metadata.trouble}`);
  return ok({
    tool: request.real,
    project: metadata.workspace_root,
    roots: [],
    hide: [],
    open: [],
    env: [],
    withheld: [],
    requirements: [],
    locks: [],
    catchExec: [],
    caches: [],
    outputs: undefined,
    network: true,
    slots: 1,
    first: {
      path: request.real,
      argv: fetchArgv(draft, verdict, platforms),
      mayFail: mayDoWithout(metadata.trouble),
    },
    shimTools: [],
    tooSmall: undefined,
    estimateMs: verdict.estimateMs,
    notes: [`crates or the lock file are missing: ${metadata.trouble}`],
  });
}

function takeWorkspace(draft: Draft, view: CargoView): Failure | undefined {
  const { metadata, home } = view;
  const root = metadata.workspace_root;
  if (isWithin(root, home)) return { reason: `the workspace lies in ${home}, which cargo manages` };
  const found = projectOf(root, draft.home);
  if ('refused' in found) return { reason: found.refused };
  draft.project = found.root;
  const no = draft.roots.project(found.root);
  if (no !== undefined) return no;
  for (const each of metadata.packages) {
    if (each.source !== null) continue;
    const place = draft.roots.reads(posix.dirname(each.manifest_path));
    if (!place.ok) return place.failure;
  }
  return undefined;
}

function takeTargetFolders(draft: Draft, view: CargoView): Failure | undefined {
  const { folders, verdict } = view;
  for (const folder of folders.all) {
    const real = realPath(folder) ?? folder;
    const no = draft.roots.cold(real, filledByCargo);
    if (no !== undefined) return no;
    if (real !== folder) {
      const place = draft.roots.reads(folder);
      if (!place.ok) return place.failure;
    }
  }
  for (const folder of verdict.outDirs) {
    const path = absolute(folder, draft.request.cwd);
    if (!draft.roots.writes(path))
      return { reason: `${path} would be written, which lies outside the project` };
  }
  draft.locks = [...folders.locks];
  draft.caches = [...folders.incremental];
  if (verdict.subcommand === 'run') draft.catchExec = [...folders.all];
  return undefined;
}

function takeCargoHome(draft: Draft, view: CargoView): Failure | undefined {
  const { home, config, metadata, verdict } = view;
  const locks = lockFiles(draft.request, verdict, config, metadata.workspace_root);
  const parts = draft.context.caches.cargoHomes.getSync([home, ...locks].join('\0'), (watch) => {
    for (const file of locks) watch(file);
    for (const folder of cargoHomeFolders(home)) watch(folder);
    for (const name of ['config', 'config.toml']) watch(`${home}/${name}`);
    return cargoHomeParts(home, lockText(locks));
  });
  if (parts.length > 0) {
    const no = draft.roots.readOnly(home, parts);
    if (no !== undefined) return no;
  }
  for (const file of config.files) {
    if (draft.roots.holds(file) || isWithin(file, home)) continue;
    const no = draft.roots.readOnly(posix.dirname(file), [posix.basename(file)]);
    if (no !== undefined) return no;
  }
  for (const path of [...config.sources, ...locks.filter(isFile)]) {
    const place = draft.roots.reads(path);
    if (!place.ok) return place.failure;
  }
  return undefined;
}

/** clippy looks for its rules in the folders above each package, or where CLIPPY_CONF_DIR says. */
function takeLintRules(
  { request, roots }: Draft,
  { verdict, metadata }: CargoView,
): Failure | undefined {
  if (verdict.subcommand !== 'clippy') return undefined;
  const named = request.env.get('CLIPPY_CONF_DIR');
  const folders = [
    ...(named === undefined ? [] : [absolute(named, request.cwd)]),
    ...upwards(metadata.workspace_root),
  ];
  for (const folder of folders)
    for (const name of ['clippy.toml', '.clippy.toml']) {
      if (!isFile(`${folder}/${name}`) || roots.holds(`${folder}/${name}`)) continue;
      const no = roots.readOnly(folder, [name]);
      if (no !== undefined) return no;
    }
  return undefined;
}

function configRefusal(config: CargoConfig): string | undefined {
  if (config.broken !== undefined)
    return `${config.broken} cannot be read: cargo's own message is right`;
  if (config.secretIn !== undefined)
    return `${config.secretIn} holds a token, which does not travel`;
  // Before cargo is asked anything: nothing of a project runs only because rch plans.
  if (config.runs !== undefined) return `${config.runs}, which cargo would run only to be asked`;
  return undefined;
}

function targetsOf(draft: Draft, verdict: CargoVerdict, config: CargoConfig): readonly string[] {
  if (verdict.targets.length > 0) return verdict.targets;
  const named = draft.request.env.get('CARGO_BUILD_TARGET');
  return named !== undefined && named !== '' ? [named] : config.targets;
}

export async function planCargo(draft: Draft, verdict: CargoVerdict): Promise<Result<Plan>> {
  const { request } = draft;
  const home = cargoHomeOf(request.env, request.cwd);
  draft.open = home;
  const config = configOf(draft, verdict, home);
  const refusal = configRefusal(config);
  if (refusal !== undefined) return fail(refusal);
  const targets = targetsOf(draft, verdict, config);
  const toolchain = takeToolchain(draft, {
    plus: verdict.toolchain,
    subcommand: verdict.subcommand,
    targets,
  });
  if (toolchain !== undefined) return fail(toolchain.reason, toolchain.next);
  const host = machineTriple(draft);
  const named = targets.filter((each) => each !== 'host-tuple' && !each.endsWith('.json'));
  const platforms = [...new Set([host, ...named])];
  const metadata = await metadataOf(draft, verdict, { config, home, platforms });
  if (!metadata.ok) return metadata;
  const value = metadata.value;
  const locks = lockFiles(request, verdict, config, value.workspace_root);
  const missing = preflight(verdict, value, lockText(locks));
  if (missing !== undefined) return fail(missing);
  if (!value.complete) return firstPlan(draft, verdict, value, platforms);
  const folders = targetFolders({ verdict, metadata: value, targets, cwd: request.cwd });
  const view: CargoView = { verdict, home, config, metadata: value, targets, folders };
  const no =
    takeWorkspace(draft, view) ??
    takeTargetFolders(draft, view) ??
    takeLinks(draft, [draft.project, value.workspace_root], true) ??
    takeCargoHome(draft, view) ??
    takeConfiguredPrograms(draft, view) ??
    takeLintRules(draft, view) ??
    takeWorkingFolder(draft) ??
    (await takeCrateNeeds(draft, view)) ??
    takeEnvironmentPaths(draft);
  return no === undefined ? finish(draft) : fail(no.reason, no.next);
}
