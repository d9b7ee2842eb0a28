/** What `rch doctor` found, for people. */
import type { Colors, Look } from '../report.ts';
import { count, printable } from '../render/text.ts';
import type { AreaName, Check, State } from './check.ts';

export type Fixed = { readonly id: string; readonly done: boolean; readonly what: string };

export type Examined = {
  readonly area: AreaName;
  readonly checks: readonly Check[];
  readonly fixed: readonly Fixed[];
};

/** Words, not only colours: they are read aloud, and go into files. */
const words: Readonly<Record<State, string>> = { pass: 'ok  ', warn: 'warn', fail: 'FAIL' };

function painted(state: State, colors: Colors): string {
  const paint = { pass: colors.green, warn: colors.yellow, fail: colors.red }[state];
  return paint(words[state]);
}

export function tally(examined: readonly Examined[]): Record<State, number> {
  const all = examined.flatMap(({ checks }) => checks);
  const of = (state: State): number => all.filter((check) => check.state === state).length;
  return { pass: of('pass'), warn: of('warn'), fail: of('fail') };
}

function areaLines({ area, checks, fixed }: Examined, { colors }: Look): string[] {
  const width = Math.max(0, ...checks.map(({ title }) => title.length));
  return [
    colors.bold(area),
    ...checks.flatMap(({ title, state, why, mend }) => [
      `  ${painted(state, colors)}  ${title.padEnd(width)}  ${printable(why)}`,
      ...(mend === '' ? [] : [`        to mend it: ${colors.cyan(printable(mend))}`]),
    ]),
    ...fixed.map(({ done, what }) =>
      done
        ? `  ${colors.green('done')}  ${printable(what)}`
        : `  ${colors.red('FAIL')}  could not be mended: ${printable(what)}`,
    ),
  ];
}

export function doctorText(examined: readonly Examined[], fixing: boolean, look: Look): string {
  const { colors } = look;
  const { warn, fail } = tally(examined);
  const mendable = examined.flatMap(({ checks }) => checks).some(({ fix }) => fix !== undefined);
  const end =
    fail + warn === 0
      ? colors.green('all is well')
      : `${fail === 0 ? 'nothing failed' : colors.red(`${fail} failed`)}, ${count(warn, 'warning')}`;
  return [
    ...examined.flatMap((each) => areaLines(each, look)),
    '',
    `${end}${mendable && !fixing ? '; what is safe to mend is mended by: rch doctor --fix' : ''}`,
  ].join('\n');
}
