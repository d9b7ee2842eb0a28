/** Decides from argv, environment and descriptors alone whether a command may run elsewhere. No I/O. */
import { Shared, StreamKind } from '../../src/protocol/shim.ts';
import { isOn } from '../../src/config/request.ts';
import { never } from '../../src/base/result.ts';
import { classifyCargo } from './cargo.ts';
import { classifyCmake } from './cmake.ts';
import { classifyCompiler } from './compiler.ts';
import { familyOf, type Family } from './family.ts';
import { classifyMake } from './make.ts';
import { classifyMeson } from './meson.ts';
import { classifyNinja } from './ninja.ts';
import type { AliasLookup, Request, Stream } from './request.ts';
import { classifyRustc } from './rustc.ts';
import { heavy, light, type Verdict } from './verdict.ts';

/** Paths that mean a descriptor or a process of this machine. */
const descriptorPath = /\/dev\/(stdin|stdout|stderr|fd\/|tty)|\/proc\/(self|thread-self|\d+)(\/|$)/;

/** open(2) flag on Linux, the same on every architecture that Node runs on. */
const O_APPEND = 0o2000;

function sameFile(one: Stream, two: Stream): boolean {
  if (one.kind !== StreamKind.file || two.kind !== StreamKind.file) return false;
  return one.dev === two.dev && one.ino === two.ino;
}

function differentTerminals(one: Stream, two: Stream): boolean {
  if (one.kind !== StreamKind.tty || two.kind !== StreamKind.tty) return false;
  return one.dev !== two.dev || one.ino !== two.ino;
}

/** What the standard streams are together that no pipes or single terminal elsewhere can stand for. */
function entangled({ streams: [input, output, error], shared }: Request): string | undefined {
  if (sameFile(input, output) || sameFile(input, error))
    return 'standard input is a file that is also written';
  // Opened apart, a file has two offsets, and its writers overwrite each other; `> log 2>&1` is one opening.
  const appending = (output.flags & error.flags & O_APPEND) !== 0;
  if (sameFile(output, error) && !appending && (shared & Shared.outErr) === 0)
    return 'one file was opened twice for the standard streams';
  if (
    differentTerminals(input, output) ||
    differentTerminals(input, error) ||
    differentTerminals(output, error)
  )
    return 'the standard streams are different terminals';
  // What comes of a write to it (/dev/full) is for the tool to see.
  if (output.kind === StreamKind.other || error.kind === StreamKind.other)
    return 'a standard stream leads to a device';
  return undefined;
}

function byFamily(family: Family, request: Request, aliases: AliasLookup): Verdict {
  switch (family) {
    case 'cargo':
      return classifyCargo(request, aliases);
    case 'rustc':
      return classifyRustc(request);
    case 'compiler':
      return classifyCompiler(request);
    case 'make':
      return classifyMake(request);
    case 'ninja':
      return classifyNinja(request);
    case 'cmake':
      return classifyCmake(request);
    case 'meson':
      return classifyMeson(request);
    default:
      return never(family);
  }
}

/** What keeps any command here, whatever the tool. */
function surroundings(request: Request): string | undefined {
  const { env, argv } = request;
  if (isOn(env.get('RCH_LOCAL_ONLY'))) return 'RCH_LOCAL_ONLY is set';
  if ((env.get('LD_PRELOAD') ?? '') !== '')
    return 'LD_PRELOAD is set: what it loads belongs to this machine';
  const named = argv.slice(1).find((word) => descriptorPath.test(word));
  if (named !== undefined) return `${named} names a descriptor or a process of this machine`;
  return entangled(request);
}

/** The verdict on a command; `aliases` is asked only about cargo subcommands that cargo does not know. */
export function classify(request: Request, aliases: AliasLookup = () => undefined): Verdict {
  const family = familyOf(request.tool);
  if (family === undefined) return heavy(`${request.tool} is not a tool that runs elsewhere`);
  const verdict = byFamily(family, request, aliases);
  if (verdict.kind === 'local') return verdict;
  const reason = surroundings(request);
  if (reason === undefined) return verdict;
  return verdict.family === 'compiler' ? light(reason) : heavy(reason);
}
