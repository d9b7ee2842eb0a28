/** Where cargo keeps the lock file: https://doc.rust-lang.org/cargo/reference/config.html#resolverlockfile-path. */
import { absolute, readRaw } from './files.ts';
import type { CargoConfig } from './cargo-config.ts';
import type { CargoVerdict } from './cargo-view.ts';
import type { Request } from '../classify/request.ts';

/**
 * Beside the workspace's own one, those that option, environment or configuration name: which of them counts depends on
 * cargo's version (the configuration's does since 1.97).
 */
export function lockFiles(
  { env, cwd }: Pick<Request, 'env' | 'cwd'>,
  verdict: Pick<CargoVerdict, 'lockfilePath'>,
  config: Pick<CargoConfig, 'lockfile'>,
  root: string,
): string[] {
  const given = [verdict.lockfilePath, env.get('CARGO_RESOLVER_LOCKFILE_PATH')];
  const named = [
    ...given.flatMap((path) => (path === undefined || path === '' ? [] : [path])),
    ...(config.lockfile === undefined ? [] : [config.lockfile]),
  ];
  return [
    `${root}/Cargo.lock`,
    ...named.map((path) => {
      // A template begins with the folder; a path of configuration is relative to that one before.
      const at = path.indexOf('{workspace-root}');
      return at < 0 ? absolute(path, cwd) : path.slice(at).replace('{workspace-root}', root);
    }),
  ];
}

/** All that they say. */
export function lockText(files: readonly string[]): string {
  const texts = files.map((file) => readRaw(file, 64 << 20) ?? '');
  return texts.filter((text) => text !== '').join('\n');
}
