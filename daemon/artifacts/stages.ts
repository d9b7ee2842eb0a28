/**
 * In which order a return is placed. It may be cut at any point, and a tool that looks at the tree then must not
 * believe what is not there: what an object was made of comes before the object, and what speaks of outputs last.
 */
import type { RawPath } from '../../src/tree/manifest.ts';

/** make trusts an object that is new, and reads here what it was made of. */
const dependencies = /\.(d|dep|P|Po|Plo|Pobj)$/;
/** cargo and ninja believe what these say. */
const lastWords = /(^|\/)(\.fingerprint\/.*|build\/[^/]+\/output|\.ninja_log|\.ninja_deps)$/;

/** The stage of a file, for PlaceOptions. */
export function stageOf(path: RawPath): number {
  if (lastWords.test(path)) return 2;
  return dependencies.test(path) ? 0 : 1;
}
