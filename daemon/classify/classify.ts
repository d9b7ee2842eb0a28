/** Decides from argv, environment and descriptors alone whether a command may run elsewhere. No I/O. */
import { StreamKind } from '../../src/protocol/shim.ts';
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

/** open(2) flags on Linux, the same on every architecture that Node runs on. */
const O_APPEND = 0o2000;
const O_ACCMODE = 3;

/**
 * One file behind two descriptors that were opened apart, without O_APPEND, has two offsets, and their writers
 * overwrite each other; only the same descriptors can do that. `> log 2>&1` is one open file, with the same flags.
 */
function openedTwice(one: Stream, two: Stream): boolean {
  if (one.kind !== StreamKind.file || two.kind !== StreamKind.file) return false;
  if (one.dev !== two.dev || one.ino !== two.ino) return false;
  const relevant = O_APPEND | O_ACCMODE;
  return (one.flags & relevant) !== (two.flags & relevant);
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
  const { env, streams, argv } = request;
  if ((env.get('RCH_LOCAL_ONLY') ?? '') !== '' && env.get('RCH_LOCAL_ONLY') !== '0')
    return 'RCH_LOCAL_ONLY is set';
  if ((env.get('LD_PRELOAD') ?? '') !== '')
    return 'LD_PRELOAD is set: what it loads belongs to this machine';
  const named = argv.slice(1).find((word) => descriptorPath.test(word));
  if (named !== undefined) return `${named} names a descriptor or a process of this machine`;
  const [input, output, error] = streams;
  if (openedTwice(output, error) || openedTwice(input, output) || openedTwice(input, error))
    return 'one file was opened twice for the standard streams';
  return undefined;
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
