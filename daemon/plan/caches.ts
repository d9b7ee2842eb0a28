/** What planning remembers between commands. */
import type { Result } from '../../src/base/result.ts';
import type { CargoConfig } from './cargo-config.ts';
import type { CargoMetadata } from './cargo-metadata.ts';
import type { CrateNeeds } from './crate-needs.ts';
import type { RustSources } from './rust-sources.ts';
import { StatCache } from './stat-cache.ts';

/** All caches of one daemon. */
export class PlanCaches {
  readonly configs = new StatCache<CargoConfig>();
  readonly metadata = new StatCache<Result<CargoMetadata>>();
  /** Parts of CARGO_HOME by workspace. */
  readonly cargoHomes = new StatCache<readonly string[]>();
  readonly crates = new StatCache<CrateNeeds | undefined>(5000);
  /** Of the packages of a workspace, by folder. */
  readonly rustSources = new StatCache<RustSources>(5000);
  /** Package by file. */
  readonly owners = new StatCache<Map<string, string>>(4);
  /** pkg-config modules to their files. */
  readonly modules = new StatCache<ReadonlyMap<string, string>>(4);
  /** The names of rustup's proxies in a folder. */
  readonly proxies = new StatCache<readonly string[]>(20);
  /** Package to 'universal' or the packages it depends on. */
  readonly universal = new StatCache<ReadonlyMap<string, string>>(4);
}
