/** rustc called by itself. */
import { hasOption, splitWords, valuesOf, type OptionTable } from './options.ts';
import type { Request } from './request.ts';
import { light, type Verdict } from './verdict.ts';

/** `rustc --help -v`, 1.95. */
const table: OptionTable = {
  shortValue: 'oLlCAWDFZ',
  shortOptional: '',
  shortNumber: '',
  longValue: new Set(
    (
      'cfg check-cfg crate-type crate-name edition emit print out-dir explain target allow warn force-warn deny ' +
      'forbid cap-lints codegen extern sysroot error-format json color diagnostic-width remap-path-prefix env-set'
    ).split(' '),
  ),
  longOptional: new Set(),
};

function emitted(values: readonly string[]): string[] {
  return values.flatMap((value) =>
    value
      .split(',')
      .flatMap((each) => (each.includes('=') ? [each.slice(each.indexOf('=') + 1)] : [])),
  );
}

export function classifyRustc(request: Request): Verdict {
  const all = request.argv.slice(1);
  const toolchain = all[0]?.startsWith('+') === true ? all[0].slice(1) : undefined;
  const { options, words, rest } = splitWords(toolchain === undefined ? all : all.slice(1), table);
  const inputs = [...words, ...rest];
  if (hasOption(options, 'print', 'version', 'V', 'help', 'h', 'explain'))
    return light('rustc is only asked a question');
  const codegen = valuesOf(options, 'C', 'codegen');
  const lints = valuesOf(options, 'W', 'Z', 'warn');
  if ([...codegen, ...lints].includes('help')) return light('rustc is only asked for help');
  if (inputs.includes('-')) return light('rustc reads standard input');
  if (inputs.some((input) => input.startsWith('@')))
    return light('rustc takes its arguments from a file');
  if (inputs.length === 0) return light('rustc without a source file');
  if (valuesOf(options, 'o').includes('-') || emitted(valuesOf(options, 'emit')).includes('-'))
    return light('rustc writes its result to standard output');
  const externs = valuesOf(options, 'extern').flatMap((value) =>
    value.includes('=') ? [value.slice(value.indexOf('=') + 1)] : [],
  );
  const crateTypes = valuesOf(options, 'crate-type').join(',');
  return {
    kind: 'candidate',
    family: 'rustc',
    command: 'rustc',
    cores: undefined,
    estimateMs: 1500,
    tooSmall: undefined,
    toolchain,
    inputs: [...inputs, ...externs],
    outputs: [...valuesOf(options, 'o'), ...emitted(valuesOf(options, 'emit'))],
    folders: [
      ...valuesOf(options, 'L').map((value) =>
        value.replace(/^(dependency|crate|native|framework|all)=/, ''),
      ),
      ...valuesOf(options, 'out-dir', 'sysroot'),
    ],
    libraries: valuesOf(options, 'l').map((value) =>
      value.replace(/^(dylib|static|framework)?(:[+\-\w,]*)?=/, '').replace(/:.*$/, ''),
    ),
    targets: valuesOf(options, 'target'),
    linker: codegen.find((each) => each.startsWith('linker='))?.slice('linker='.length),
    links: !/^(lib|rlib|staticlib)(,|$)/.test(crateTypes),
    nativeCpu: codegen.some((each) => /^target-cpu=native|^tune-cpu=native/.test(each)),
  };
}
