/** What is wrong with a cargo command before anything is built: then cargo says so here, at once. */
import type { CargoFacts } from '../classify/verdict.ts';
import type { CargoMetadata } from './cargo-metadata.ts';

/** The reason, or undefined. Package specs with versions, URLs or wildcards are left to cargo. */
export function preflight(cargo: CargoFacts, metadata: CargoMetadata): string | undefined {
  const names = new Set(metadata.packages.map((each) => each.name));
  const simple = /^[\w-]+$/;
  const unknown = cargo.packages.find((each) => simple.test(each) && !names.has(each));
  if (unknown !== undefined && metadata.complete)
    return `there is no package ${unknown}: cargo's own message is right`;
  const members = metadata.packages.filter((each) => metadata.workspace_members.includes(each.id));
  const targets = members.flatMap((each) => each.targets);
  const missing = cargo.named.find(
    ({ type, name }) =>
      simple.test(name) &&
      !targets.some((target) => target.name === name && target.kind.includes(type)),
  );
  return missing === undefined
    ? undefined
    : `there is no ${missing.type} target ${missing.name}: cargo's own message is right`;
}
