/** Programs and flags that configuration and environment put into a cargo build: wrappers, linkers, runners, CPU. */
import type { Failure } from '../../src/base/result.ts';
import { takePathsIn } from './cargo-env.ts';
import { needCpu, needTool, wrapperReason, type Draft } from './draft.ts';
import { absolute, isWithin } from './files.ts';
import { cpuFlags } from './needs/cpu.ts';
import { flagNeeds, noNeeds, shellNeeds } from './needs/needs.ts';
import { readingFlags } from './needs/value-paths.ts';
import { findProgram } from './path-search.ts';
import { compilerNeeds } from './requirements.ts';
import { isSystem } from './system.ts';
import { machineTriple } from './toolchain.ts';
import type { CargoView } from './cargo-view.ts';

const programVariables =
  /^(RUSTC|RUSTC_WRAPPER|RUSTC_WORKSPACE_WRAPPER|RUSTDOC|CARGO_BUILD_(RUSTC|RUSTC_WRAPPER|RUSTC_WORKSPACE_WRAPPER|RUSTDOC)|CARGO_TARGET_\w+_(LINKER|RUNNER))$/;
const flagVariables =
  /^(RUSTFLAGS|RUSTDOCFLAGS|CARGO_ENCODED_RUSTFLAGS|CARGO_ENCODED_RUSTDOCFLAGS|CARGO_BUILD_RUSTFLAGS|CARGO_BUILD_RUSTDOCFLAGS|CARGO_TARGET_\w+_RUSTFLAGS|CARGO_PROFILE_\w+_RUSTFLAGS)$/;

type Program = { readonly key: string; readonly path: string };

function fromEnvironment(draft: Draft): Program[] {
  return [...draft.request.env].flatMap(([key, value]) => {
    const path = value.split(/\s+/)[0] ?? '';
    return programVariables.test(key) && path !== '' ? [{ key, path }] : [];
  });
}

/** Set to nothing, a wrapper of the configuration is switched off. */
function switchedOff(draft: Draft, key: string): boolean {
  const variable = {
    'build.rustc-wrapper': 'RUSTC_WRAPPER',
    'build.rustc-workspace-wrapper': 'RUSTC_WORKSPACE_WRAPPER',
  }[key];
  return variable !== undefined && draft.request.env.has(variable);
}

function takeProgram(draft: Draft, view: CargoView, { key, path }: Program): Failure | undefined {
  const named = path.includes('/')
    ? absolute(path, draft.request.cwd)
    : findProgram(path, draft.path);
  if (named === undefined)
    return { reason: `${key} is ${path}, which is not there: cargo's own message is right` };
  const reason = wrapperReason(named);
  if (reason !== undefined) return { reason: `${key}: ${reason}` };
  if (draft.roots.holds(named)) return undefined;
  if (isWithin(named, view.home))
    return draft.roots.readOnly(view.home, [named.slice(view.home.length + 1)]);
  if (isSystem(named)) return needTool(draft, named);
  return { reason: `${key} is ${named}, which is on this machine alone` };
}

function flagsOf(draft: Draft, view: CargoView): string {
  const { env } = draft.request;
  const set = [...env]
    .filter(([name]) => flagVariables.test(name))
    .map(([, value]) => value.replaceAll('\x1f', ' '));
  const given = view.verdict.subcommand === 'rustc' ? view.verdict.rest : [];
  return [view.config.flags, ...set, ...view.verdict.configs, ...given].join(' ');
}

/**
 * What build scripts hand to C compilers, and which they call: https://docs.rs/cc, "External configuration via
 * environment variables"; cmake, autotools and make know the plain names.
 */
const compilerFlags = /^(?:(?:HOST|TARGET)_)?(?:C|CXX|CPP|AS|LD)FLAGS(?:_([\w.-]+))?$/;
const compilerPrograms = /^(?:(?:HOST|TARGET)_)?(?:CC|CXX|AS|LD)(?:_([\w.-]+))?$/;

/** Values of the variables that build scripts see, the caller's and the configuration's; not those for other targets. */
function scriptValues(draft: Draft, view: CargoView, names: RegExp): string[] {
  const triples = [machineTriple(draft), ...view.targets].map((each) => each.replaceAll('-', '_'));
  const configured = view.config.env.map(({ name, value }) => [name, value] as const);
  return [...draft.request.env, ...configured].flatMap(([name, value]) => {
    const match = names.exec(name);
    const target = match?.[1]?.replaceAll(/[.-]/g, '_');
    return match !== null && (target === undefined || triples.includes(target)) ? [value] : [];
  });
}

/** The C compilers that build scripts are told to call. */
function takeScriptCompilers(draft: Draft, view: CargoView): Failure | undefined {
  if (!isScripted(view, 'custom-build')) return undefined;
  const named = noNeeds();
  for (const value of scriptValues(draft, view, compilerPrograms)) {
    shellNeeds(value, named);
    flagNeeds(value, named);
  }
  needCpu(draft, { flags: named.cpu, runs: true });
  for (const name of named.programs) {
    const no = needTool(draft, findProgram(name, draft.path) ?? name);
    if (no !== undefined) return no;
  }
  return undefined;
}

function isScripted(view: CargoView, ...kinds: readonly string[]): boolean {
  return view.metadata.packages.some((each) =>
    each.targets.some((target) => kinds.some((kind) => target.kind.includes(kind))),
  );
}

/** `flags` are rustc's. With --target they are not those of build scripts and procedural macros, which run anyway. */
function takeCpu(draft: Draft, view: CargoView, flags: string): void {
  const runsResult = ['test', 'bench', 'nextest'].includes(view.verdict.subcommand);
  const forHost = view.targets.length === 0 && isScripted(view, 'custom-build', 'proc-macro');
  needCpu(draft, { flags: cpuFlags(flags), runs: runsResult || forHost });
  if (!isScripted(view, 'custom-build')) return;
  const forC = scriptValues(draft, view, compilerFlags);
  needCpu(draft, { flags: forC.flatMap(cpuFlags), runs: true });
}

/** Only building something that runs needs a linker: a program, a test, a build script, a procedural macro. */
function links(view: CargoView): boolean {
  if (!['check', 'clippy', 'doc', 'rustdoc'].includes(view.verdict.subcommand)) return true;
  return isScripted(view, 'custom-build', 'proc-macro');
}

function takeLinker(draft: Draft, flags: string): Failure | undefined {
  const linkers = [...flags.matchAll(/linker=([^\s"',]+)/g)].map((match) => match[1] ?? '');
  for (const linker of linkers) {
    const no = needTool(draft, linker.includes('/') ? absolute(linker, draft.request.cwd) : linker);
    if (no !== undefined) return no;
  }
  compilerNeeds(draft.needs, [...linkers, 'cc'], false, draft.path);
  for (const match of flags.matchAll(/-fuse-ld=([^\s"',]+)|--ld-path=([^\s"',]+)/g)) {
    const name = match[1] ?? match[2] ?? '';
    const program = [`ld.${name}`, name].find(
      (each) => findProgram(each, draft.path) !== undefined,
    );
    const no = needTool(draft, program ?? `ld.${name}`);
    if (no !== undefined) return no;
  }
  for (const match of flags.matchAll(/(?:^|\s)-l\s*([\w.+-]+)/g))
    draft.needs.libraries.add(match[1] ?? '');
  return undefined;
}

/** Libraries, objects, profiles, scripts and headers that flags of rustc, rustdoc and C compilers name. */
function takeFlagPaths(draft: Draft, view: CargoView, flags: string): void {
  const forC = isScripted(view, 'custom-build') ? scriptValues(draft, view, compilerFlags) : [];
  takePathsIn(draft, view, [readingFlags(flags), ...forC]);
}

export function takeConfiguredPrograms(draft: Draft, view: CargoView): Failure | undefined {
  const configured = view.config.programs.filter((each) => !switchedOff(draft, each.key));
  for (const program of [...configured, ...fromEnvironment(draft)]) {
    if (/runner$/i.test(program.key) && view.verdict.subcommand === 'run')
      return { reason: `${program.key} runs the program, which belongs to this machine` };
    const no = takeProgram(draft, view, program);
    if (no !== undefined) return no;
  }
  const flags = flagsOf(draft, view);
  takeCpu(draft, view, flags);
  takeFlagPaths(draft, view, flags);
  const no = takeScriptCompilers(draft, view);
  if (no !== undefined) return no;
  return links(view) ? takeLinker(draft, flags) : undefined;
}
