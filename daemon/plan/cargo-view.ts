/** What is known of a cargo command once cargo was asked. */
import type { Candidate, CargoFacts } from '../classify/verdict.ts';
import type { CargoConfig } from './cargo-config.ts';
import type { CargoMetadata } from './cargo-metadata.ts';
import type { TargetFolders } from './cargo-target.ts';

export type CargoVerdict = Candidate & CargoFacts;

export type CargoView = {
  readonly verdict: CargoVerdict;
  readonly home: string;
  readonly config: CargoConfig;
  readonly metadata: CargoMetadata;
  /** Triples asked for; empty: the host's own. */
  readonly targets: readonly string[];
  readonly folders: TargetFolders;
};
