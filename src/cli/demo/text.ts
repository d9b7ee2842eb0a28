/** The demo's findings in words. */
import { phasesText } from '../render/record.ts';
import { duration, size } from '../render/text.ts';
import type { Look } from '../report.ts';
import type { Built } from './build.ts';

/** The law held: it ran on the worker, the results are equal, and nothing is left to do here. */
export function proved(built: Built): boolean {
  return built.worker !== null && built.fresh && built.products.every((product) => product.same);
}

function builtLines(built: Built, { colors }: Look): string[] {
  const { record } = built;
  const mark = (good: boolean): string => (good ? colors.green('yes') : colors.red('NO'));
  const same = built.products.every((product) => product.same);
  const where =
    built.worker === null
      ? colors.red(`it ran here: ${built.reason}`)
      : `on worker ${colors.green(built.worker)}: ${built.reason}`;
  return [
    colors.bold(`${built.project}: ${built.command}`),
    `  where       ${where}`,
    ...(record === null
      ? []
      : [
          `  phases      ${phasesText(record)}`,
          `  bytes       sent ${size(record.bytes.sent)}, received ${size(record.bytes.received)}`,
        ]),
    `  took        ${duration(built.remoteMs)}; the same build with the real tool here: ${duration(built.localMs)}`,
    `  equal       ${mark(same)}, compared with that local build at the same path (sha256)`,
    ...built.products.map(
      ({ file, hash, same: equal }) =>
        `              ${hash.slice(0, 16)}  ${file}${equal ? '' : '  DIFFERS'}`,
    ),
    `  up to date  ${mark(built.fresh)}, the real tool run again here finds nothing to do`,
  ];
}

export function demoText(builds: readonly Built[], notes: readonly string[], look: Look): string {
  return [
    ...builds.flatMap((built) => [...builtLines(built, look), '']),
    ...notes,
    'the daemon runs on, for your own commands; `rch daemon stop` stops it. `rch history` shows what it did.',
  ].join('\n');
}
