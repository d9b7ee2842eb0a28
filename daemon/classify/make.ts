/** make and gmake. */
import { posix } from 'node:path';
import { coresOf } from './cores.ts';
import { neverTarget } from './never-targets.ts';
import { hasOption, lastValue, splitWords, valuesOf, type OptionTable } from './options.ts';
import type { Request } from './request.ts';
import { light, type Verdict } from './verdict.ts';

/** GNU make manual, "Summary of Options", 4.4. */
export const makeTable: OptionTable = {
  shortValue: 'CfIoWE',
  shortOptional: 'O',
  shortNumber: 'jl',
  longValue: new Set(
    'directory file makefile include-dir old-file assume-old new-file what-if assume-new eval'.split(
      ' ',
    ),
  ),
  longOptional: new Set(),
};

const queries = 'n just-print dry-run recon q question p print-data-base v version h help'.split(
  ' ',
);

/** The flags that MAKEFLAGS brings: its first word is a cluster without a dash (GNU make manual, "Communicating Options"). */
function inherited(makeflags: string): string[] {
  const words = makeflags.split(/\s+/).filter((word) => word !== '');
  const first = words[0];
  const end = words.indexOf('--');
  const options = words
    .slice(0, end < 0 ? words.length : end)
    .filter((word) => !word.includes('jobserver'));
  if (first === undefined || first.startsWith('-') || first.includes('=')) return options;
  return [`-${first}`, ...options.slice(1)];
}

const assignment = /^([^\s=:+?!]+)(?:::?:?|\+|\?|!)?=/;

export function classifyMake(request: Request): Verdict {
  const split = splitWords(request.argv.slice(1), makeTable);
  const { options } = split;
  const above = splitWords(inherited(request.env.get('MAKEFLAGS') ?? ''), makeTable).options;
  if (hasOption([...options, ...above], ...queries))
    return light('make is only asked what it would do, or for its version');
  if (hasOption([...options, ...above], 't', 'touch'))
    return light('make --touch only touches files');
  const files = valuesOf(options, 'f', 'file', 'makefile');
  if (files.includes('-')) return light('make reads its makefile from standard input');
  const words = [...split.words, ...split.rest];
  const variables = new Map<string, string>();
  const targets = words.filter((word) => {
    const found = assignment.exec(word);
    if (found?.[1] === undefined) return true;
    variables.set(found[1], word.slice(found[0].length));
    return false;
  });
  const never = neverTarget('make', targets);
  if (never !== undefined) return never;
  const jobs = lastValue(options, 'j', 'jobs') ?? lastValue(above, 'j', 'jobs');
  const unbounded = jobs === undefined && hasOption([...options, ...above], 'j', 'jobs');
  return {
    kind: 'candidate',
    family: 'make',
    command: 'make',
    // Without -j make runs one job at a time.
    cores: unbounded ? undefined : (coresOf(jobs) ?? 1),
    serial: !unbounded && coresOf(jobs) === undefined,
    estimateMs: 10_000,
    tooSmall: undefined,
    directory: valuesOf(options, 'C', 'directory').reduce(
      (from, to) => posix.resolve(from, to),
      request.cwd,
    ),
    files,
    folders: valuesOf(options, 'I', 'include-dir'),
    targets,
    variables,
  };
}
