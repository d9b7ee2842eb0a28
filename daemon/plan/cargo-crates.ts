/** What the crates of a workspace want of the system, all together. */
import { posix } from 'node:path';
import type { Failure } from '../../src/base/result.ts';
import { takeConfiguredPaths } from './cargo-env.ts';
import type { CargoMetadata } from './cargo-metadata.ts';
import { compilesC, crateNeeds, type Crate, type CrateNeeds } from './crate-needs.ts';
import { needCpu, takeOutside, withheldReason, type Draft } from './draft.ts';
import { isWithin } from './files.ts';
import { findProgram } from './path-search.ts';
import { compilerNeeds, moduleFile } from './requirements.ts';
import { rustSources } from './rust-sources.ts';
import { isRustupProxy } from './rustup.ts';
import type { CargoView } from './cargo-view.ts';

/** cargo gives these to build scripts by variables. */
const provided = new Set(['rustc', 'cargo', 'rustdoc', 'rustup']);

/** A program that is called by its name; rustup's proxies (rustfmt, cargo-fmt) go along with the one of cargo. */
function takeProgram(draft: Draft, name: string): void {
  if (provided.has(name)) return;
  const path = findProgram(name, draft.path) ?? name;
  const beside = posix.dirname(path) === posix.dirname(draft.request.real);
  if (!beside || !isRustupProxy(path)) draft.needs.programs.add(name);
}

/** The packages with build scripts, each with what its script depends on. */
export function scriptedCrates(metadata: CargoMetadata): Crate[] {
  const names = new Map(metadata.packages.map((each) => [each.id, each.name]));
  const nodes = new Map((metadata.resolve?.nodes ?? []).map((node) => [node.id, node]));
  return metadata.packages
    .filter((each) => each.targets.some((target) => target.kind.includes('custom-build')))
    .map((each) => {
      const node = nodes.get(each.id);
      const building = (node?.deps ?? [])
        .filter((one) => one.dep_kinds.some(({ kind }) => kind === 'build'))
        .flatMap((one) => names.get(one.pkg) ?? []);
      return { package: each, building, features: node?.features ?? [] };
    });
}

/**
 * A crate of a registry never changes under its name: its manifest's stamp stands for it. The C sources of a
 * workspace member may change at any time, so its headers are looked for each time.
 */
async function needsOf(draft: Draft, crate: Crate): Promise<CrateNeeds | undefined> {
  const folder = posix.dirname(crate.package.manifest_path);
  const fixed = crate.package.source !== null;
  const { caches, scanner } = draft.context;
  const key = JSON.stringify([folder, crate.building, crate.features]);
  const withHeaders = async (needs: CrateNeeds): Promise<CrateNeeds | undefined> => {
    if (!compilesC(crate)) return needs;
    const found = await scanner.headersBelow(folder);
    return found === undefined
      ? undefined
      : { ...needs, headers: [...found.needs.headers], plusPlus: found.plusPlus };
  };
  const known = await caches.crates.get(key, async (watch) => {
    watch(crate.package.manifest_path);
    const needs = crateNeeds(crate, fixed ? () => undefined : watch);
    return fixed ? withHeaders(needs) : needs;
  });
  return fixed || known === undefined ? known : withHeaders(known);
}

function takeModules(draft: Draft, needs: CrateNeeds): void {
  if (!needs.usesPkgConfig) return;
  const { machine, caches } = draft.context;
  draft.needs.programs.add('pkg-config');
  for (const name of needs.literals)
    if (moduleFile(name, machine, caches) !== undefined) draft.needs.modules.add(name);
  for (const name of needs.probed) draft.needs.modules.add(name);
}

function takeNames(draft: Draft, needs: CrateNeeds): void {
  for (const name of needs.programs) takeProgram(draft, name);
  for (const name of needs.variables) draft.needs.variables.add(name);
  for (const name of needs.libraries) draft.needs.libraries.add(name);
  takeModules(draft, needs);
  if (needs.usesCmake)
    for (const name of ['cmake', 'make', 'ninja']) draft.needs.programs.add(name);
  if (needs.usesBindgen)
    for (const name of Object.keys(draft.context.machine.packages))
      if (/^(libclang|libllvm|llvm-\d|clang)/.test(name))
        draft.requirements.push({
          kind: 'package',
          name,
          exact: 'version',
          why: 'a build script uses bindgen',
        });
  needCpu(draft, { flags: needs.cpu, runs: true });
  if (needs.headers === undefined) return;
  for (const name of needs.headers) draft.needs.headers.add(name);
  const compilers = ['cc', ...(needs.plusPlus ? ['c++'] : [])];
  compilerNeeds(draft.needs, compilers, needs.plusPlus, draft.path);
}

const testing = new Set(['test', 'bench', 'nextest']);

function takeSources(draft: Draft, { metadata, verdict }: CargoView): void {
  const tested = testing.has(verdict.subcommand);
  for (const each of metadata.packages) {
    if (each.source !== null) continue;
    const key = `${each.manifest_path}\0${tested}`;
    const { programs, outside } = draft.context.caches.rustSources.getSync(key, (watch) =>
      rustSources(each, tested, watch),
    );
    for (const name of programs) takeProgram(draft, name);
    for (const path of outside) if (!isWithin(path, draft.project)) draft.needs.outside.add(path);
  }
}

export async function takeCrateNeeds(draft: Draft, view: CargoView): Promise<Failure | undefined> {
  for (const crate of scriptedCrates(view.metadata)) {
    const needs = await needsOf(draft, crate);
    if (needs === undefined)
      return { reason: `${crate.package.name} has too many files to look for headers` };
    takeNames(draft, needs);
  }
  takeSources(draft, view);
  takeConfiguredPaths(draft, view);
  return withheldReason(draft) ?? takeOutside(draft);
}
