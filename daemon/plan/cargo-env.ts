/** Paths that the `[env]` of cargo's configuration, and flags, hand to rustc, build scripts and tests. */
import { posix } from 'node:path';
import type { CargoView } from './cargo-view.ts';
import { ownWays, type Draft } from './draft.ts';
import { pathsIn } from './needs/value-paths.ts';
import { refusedRoot } from './system.ts';

/** What `values` name outside the project goes along as what sources name; `/` or a home is a path by accident. */
export function takePathsIn(
  draft: Draft,
  { metadata }: CargoView,
  values: readonly string[],
): void {
  const own = metadata.packages.filter((each) => each.source === null);
  const files = own.flatMap((each) => [
    each.manifest_path,
    ...each.targets.map((target) => target.src_path),
  ]);
  const bases = [
    ...new Set([metadata.workspace_root, ...files.map((path) => posix.dirname(path))]),
  ];
  for (const path of values.flatMap((value) => pathsIn(value, bases)))
    if (refusedRoot(path, draft.home) === undefined) draft.needs.outside.add(path);
}

export function takeConfiguredPaths(draft: Draft, view: CargoView): void {
  const { env } = draft.request;
  const counting = view.config.env.filter(
    ({ name, force }) => !ownWays.test(name) && (force || !env.has(name)),
  );
  takePathsIn(
    draft,
    view,
    counting.map(({ value }) => value),
  );
}
