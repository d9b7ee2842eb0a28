/** cargo aliases as the caller's environment and configuration define them. */
import type { AliasLookup, Request } from '../classify/request.ts';
import type { PlanCaches } from './caches.ts';
import { cargoHomeOf, readCargoConfig } from './cargo-config.ts';

/** The lookup for `classify`; reads configuration only when it is asked. */
export function aliasesOf(request: Request, caches: PlanCaches): AliasLookup {
  return (name) => {
    const fromEnvironment = request.env.get(
      `CARGO_ALIAS_${name.toUpperCase().replaceAll('-', '_')}`,
    );
    if (fromEnvironment !== undefined)
      return fromEnvironment.split(/\s+/).filter((word) => word !== '');
    const home = cargoHomeOf(request.env, request.cwd);
    const config = caches.configs.getSync(`${request.cwd}\0${home}`, (watch) =>
      readCargoConfig(request.cwd, home, watch),
    );
    return config.aliases.get(name);
  };
}
