/** cargo aliases as the caller's environment and configuration define them. */
import type { AliasLookup, Request } from '../classify/request.ts';
import type { PlanCaches } from './caches.ts';
import { cargoHomeOf, readCargoConfig } from './cargo-config.ts';

/** The lookup for `classify`; reads configuration only when it is asked. */
export function aliasesOf(request: Request, caches: PlanCaches): AliasLookup {
  return (name, { directory, configs }) => {
    const fromEnvironment = request.env.get(
      `CARGO_ALIAS_${name.toUpperCase().replaceAll('-', '_')}`,
    );
    // --config counts more than the environment, and files less; with both, cargo itself sees which it is.
    if (fromEnvironment !== undefined && configs.length > 0) return undefined;
    if (fromEnvironment !== undefined)
      return fromEnvironment.split(/\s+/).filter((word) => word !== '');
    const home = cargoHomeOf(request.env, request.cwd);
    const config = caches.configs.getSync([directory, home, ...configs].join('\0'), (watch) =>
      readCargoConfig(directory, home, watch, configs),
    );
    return config.aliases.get(name);
  };
}
