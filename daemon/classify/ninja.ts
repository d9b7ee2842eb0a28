/** ninja. */
import { posix } from 'node:path';
import { coresOf } from './cores.ts';
import { neverTarget } from './never-targets.ts';
import { hasOption, lastValue, splitWords, valuesOf, type OptionTable } from './options.ts';
import type { Request } from './request.ts';
import { light, type Verdict } from './verdict.ts';

/** `ninja --help`, 1.11. */
const table: OptionTable = {
  shortValue: 'Cfjkldtw',
  shortOptional: '',
  shortNumber: '',
  longValue: new Set(),
  longOptional: new Set(),
};

export function classifyNinja(request: Request): Verdict {
  const { options, words, rest } = splitWords(request.argv.slice(1), table);
  if (hasOption(options, 'version', 'help', 'h'))
    return light('ninja is only asked for help or its version');
  if (hasOption(options, 't')) return light('ninja -t runs a tool of its own, not a build');
  if (hasOption(options, 'n')) return light('ninja -n is only asked what it would do');
  if ([...valuesOf(options, 'd', 'w')].includes('list'))
    return light('ninja is only asked for a list');
  const targets = [...words, ...rest];
  const never = neverTarget('ninja', targets);
  if (never !== undefined) return never;
  return {
    kind: 'candidate',
    family: 'ninja',
    command: 'ninja',
    cores: coresOf(lastValue(options, 'j')),
    estimateMs: 10_000,
    tooSmall: undefined,
    directory: posix.resolve(request.cwd, lastValue(options, 'C') ?? '.'),
    files: valuesOf(options, 'f'),
    folders: [],
    targets,
    variables: new Map(),
  };
}
