/** What is wrong with a cargo command before anything is built: then cargo says so here, at once. */
import type { CargoFacts } from '../classify/verdict.ts';
import type { CargoMetadata, CargoPackage } from './cargo-metadata.ts';

/** Names without versions, URLs or wildcards; all others are left to cargo. */
const simple = /^[\w-]+$/;

/** Packages that the lock file names: any of them may be asked for by -p. */
function locked(lock: string): string[] {
  return [...lock.matchAll(/^name = "([^"]+)"$/gm)].map((match) => match[1] ?? '');
}

function unknownPackage(
  cargo: CargoFacts,
  metadata: CargoMetadata,
  lock: string,
): string | undefined {
  // Without the crates and without a lock file nobody knows all names yet.
  if (!metadata.complete && lock === '') return undefined;
  const names = new Set([...metadata.packages.map((each) => each.name), ...locked(lock)]);
  return cargo.packages.find((each) => simple.test(each) && !names.has(each));
}

/** `--features "a b" -F c,d`; a feature of a dependency (`dep/feature`) is left to cargo. */
function unknownFeature(cargo: CargoFacts, members: readonly CargoPackage[]): string | undefined {
  const named = members.filter((each) => cargo.packages.includes(each.name));
  const whole = cargo.packages.every((each) => simple.test(each)) && named.length > 0;
  const asked = cargo.features.named.flatMap((each) => each.split(/[\s,]+/));
  return asked.find(
    (feature) =>
      simple.test(feature) &&
      !(whole ? named : members).some((each) => Object.hasOwn(each.features, feature)),
  );
}

/** The reason, or undefined. `lock` is the text of Cargo.lock, empty when there is none. */
export function preflight(
  cargo: CargoFacts,
  metadata: CargoMetadata,
  lock: string,
): string | undefined {
  const right = "cargo's own message is right";
  const unknown = unknownPackage(cargo, metadata, lock);
  if (unknown !== undefined) return `there is no package ${unknown}: ${right}`;
  const members = metadata.packages.filter((each) => metadata.workspace_members.includes(each.id));
  const targets = members.flatMap((each) => each.targets);
  const missing = cargo.named.find(
    ({ type, name }) =>
      simple.test(name) &&
      !targets.some((target) => target.name === name && target.kind.includes(type)),
  );
  if (missing !== undefined) return `there is no ${missing.type} target ${missing.name}: ${right}`;
  const feature = unknownFeature(cargo, members);
  return feature === undefined ? undefined : `there is no feature ${feature}: ${right}`;
}

/**
 * Whether all that a command needs may be here, though cargo metadata could not do without more (`trouble`): that wants
 * what the lock file names for tests alone, too. Where the lock file is to be changed first, nothing can be done.
 */
export function mayDoWithout(trouble: string): boolean {
  return trouble.startsWith('failed to download');
}
