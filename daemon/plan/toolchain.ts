/** Brings the Rust toolchain that a command would use: rustup's as a read-only root, any other compared as a tool. */
import { posix } from 'node:path';
import type { Failure } from '../../src/base/result.ts';
import { cargoHomeOf } from './cargo-config.ts';
import { proxyParts } from './cargo-home.ts';
import type { Draft } from './draft.ts';
import { isFolder, isWithin, realPath } from './files.ts';
import { findProgram } from './path-search.ts';
import { isRustupProxy, missingComponent, toolchainOf, toolchainParts } from './rustup.ts';
import { isSystem } from './system.ts';

export type ToolchainWish = {
  readonly plus: string | undefined;
  readonly subcommand: string;
  readonly targets: readonly string[];
};

/** The triple of this machine, before a toolchain says better. */
export function machineTriple(draft: Draft): string {
  const { arch, libc } = draft.context.machine;
  return `${arch}-unknown-linux-${libc.startsWith('musl') ? 'musl' : 'gnu'}`;
}

/** The proxies: rustup and its links, in CARGO_HOME/bin or wherever they are. */
function takeProxies(draft: Draft, subcommand: string): Failure | undefined {
  const folder = posix.dirname(draft.request.real);
  if (isSystem(folder)) {
    draft.needs.programs.add(draft.request.real);
    return undefined;
  }
  const parts = draft.context.caches.proxies.getSync(`${folder}\0${subcommand}`, (watch) => {
    watch(folder);
    return proxyParts(folder, [`cargo-${subcommand}`]);
  });
  const home = cargoHomeOf(draft.request.env, draft.request.cwd);
  if (!isWithin(folder, home) || folder === home) return draft.roots.readOnly(folder, parts);
  const below = folder.slice(home.length + 1);
  return draft.roots.readOnly(
    home,
    parts.map((name) => `${below}/${name}`),
  );
}

function takeRustup(draft: Draft, wish: ToolchainWish): Failure | undefined {
  const { request, roots, context } = draft;
  const found = toolchainOf({
    plus: wish.plus,
    cwd: request.cwd,
    env: request.env,
    arch: context.machine.arch,
  });
  if (!found.ok) return found.failure;
  const toolchain = found.value;
  if (toolchain.byPathIn !== undefined)
    return {
      reason: `${toolchain.byPathIn} names ${toolchain.folder}, whose cargo would run only to be asked`,
    };
  const missing = missingComponent(toolchain, wish.subcommand, wish.targets);
  if (missing !== undefined) return { reason: `${missing}: its own message is right` };
  const { only, skip, outside } = toolchainParts(toolchain);
  return (
    takeProxies(draft, wish.subcommand) ??
    roots.readOnly(toolchain.home, only, skip) ??
    (outside === undefined || isSystem(outside) ? undefined : roots.readOnly(outside))
  );
}

/** cargo and rustc without rustup: the system's are compared, a folder of their own is carried. */
function takePlain(draft: Draft, wish: ToolchainWish): Failure | undefined {
  const { request, roots } = draft;
  if (wish.plus !== undefined)
    return { reason: `+${wish.plus} is rustup's, which is not installed` };
  const folder = posix.dirname(posix.dirname(realPath(request.real) ?? request.real));
  const absent = wish.targets.find(
    (target) =>
      /^[\w.-]+$/.test(target) &&
      !target.endsWith('.json') &&
      target !== 'host-tuple' &&
      isFolder(`${folder}/lib/rustlib`) &&
      !isFolder(`${folder}/lib/rustlib/${target}`),
  );
  if (absent !== undefined)
    return { reason: `the target ${absent} is not installed: its own message is right` };
  if (!isSystem(request.real) && isFolder(`${folder}/lib/rustlib`)) return roots.readOnly(folder);
  for (const name of [request.real, 'rustc']) draft.needs.programs.add(name);
  const rustc = findProgram('rustc', draft.path);
  if (rustc !== undefined)
    draft.requirements.push({ kind: 'tool', name: 'rustc', path: rustc, why: 'Rust is compiled' });
  draft.requirements.push({
    kind: 'tool',
    name: request.tool,
    path: request.real,
    why: 'Rust is compiled',
  });
  return undefined;
}

export function takeToolchain(draft: Draft, wish: ToolchainWish): Failure | undefined {
  return isRustupProxy(draft.request.real) ? takeRustup(draft, wish) : takePlain(draft, wish);
}
