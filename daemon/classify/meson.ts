/** meson: only `compile` goes elsewhere. */
import { posix } from 'node:path';
import { coresOf } from './cores.ts';
import { neverTarget } from './never-targets.ts';
import { classifyNinja } from './ninja.ts';
import { hasOption, lastValue, splitWords, valuesOf, type OptionTable } from './options.ts';
import type { Request } from './request.ts';
import { heavy, light, type Verdict } from './verdict.ts';

/** `meson compile --help`, 1.0. */
const table: OptionTable = {
  shortValue: 'Cjl',
  shortOptional: '',
  shortNumber: '',
  longValue: new Set(['jobs', 'load-average', 'ninja-args', 'vs-args', 'xcode-args']),
  longOptional: new Set(),
};

export function classifyMeson(request: Request): Verdict {
  const [subcommand, ...words] = request.argv.slice(1);
  if (subcommand === undefined || /^(-|help$|introspect$)/.test(subcommand))
    return light('meson is only asked a question');
  if (subcommand !== 'compile') return heavy(`meson ${subcommand} belongs to this machine`);
  const split = splitWords(words, table);
  if (hasOption(split.options, 'h', 'help')) return light('meson compile is only asked for help');
  if (hasOption(split.options, 'clean'))
    return light('meson compile --clean only deletes what is here');
  // As a list of Meson's (`['-v', 'x']`), or words between commas or spaces.
  const passed = valuesOf(split.options, 'ninja-args').flatMap((list) =>
    list.split(/[\s,'"[\]]+/).filter((word) => word !== ''),
  );
  const ninja = classifyNinja({ ...request, argv: ['ninja', ...passed] });
  if (ninja.kind === 'local') return { ...ninja, reason: `meson compile: ${ninja.reason}` };
  const goals = ninja.family === 'ninja' ? ninja.targets : [];
  const targets = [...split.words, ...split.rest, ...goals];
  const never = neverTarget('meson compile', targets);
  if (never !== undefined) return never;
  return {
    kind: 'candidate',
    family: 'meson',
    command: 'meson compile',
    cores: coresOf(lastValue(split.options, 'j', 'jobs')),
    estimateMs: 10_000,
    tooSmall: undefined,
    directory: posix.resolve(request.cwd, lastValue(split.options, 'C') ?? '.'),
    files: [],
    folders: [],
    targets,
    variables: new Map(),
  };
}
