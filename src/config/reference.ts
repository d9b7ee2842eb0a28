/** The tables of settings in the README, from what the schemas say of themselves. */
import { z } from 'zod';
import { settingsIn, type Setting } from './known.ts';
import { projectFile } from './project-schema.ts';
import { settingsFile } from './schema.ts';
import { toolchainShape } from './toolchain-schema.ts';
import { tomlValue, type TomlValue } from './toml-value.ts';
import { workerConfig, workersFileShape } from './worker-schema.ts';

/** Keys of tests, which nobody needs to know of. */
const unlisted: ReadonlySet<string> = new Set(['clock_shift_ns']);

function defaultOf({ initial, shown }: Setting): string {
  if (shown !== undefined) return shown;
  return initial === undefined ? '' : `\`${tomlValue(initial as TomlValue)}\``;
}

const cell = (text: string): string => text.replaceAll('|', '\\|');

/** Keys that differ in their last part alone, and say the same of it, stand in one row. */
function folded(settings: readonly Setting[]): Setting[] {
  const [first, ...others] = settings.filter(({ name }) => name.startsWith('classify.confidence.'));
  if (first === undefined) return [...settings];
  const gone = new Set(others);
  return settings
    .filter((setting) => !gone.has(setting))
    .map((setting) =>
      setting !== first
        ? setting
        : {
            ...first,
            name: 'classify.confidence',
            meaning:
              'how sure the classification of a kind is: `cargo_run = 0.8` under `[classify.confidence]`; `--release` and `-O2` add 0.05',
          },
    );
}

/** Rows of cells, the head first. */
export type Rows = readonly (readonly string[])[];

function settingsRows(head: string, settings: readonly Setting[], withPlan: boolean): Rows {
  const rows = folded(settings)
    .filter(({ name }) => !unlisted.has(name))
    .map((setting) => [
      `\`${setting.name}\``,
      defaultOf(setting),
      ...(withPlan ? [setting.plan ?? '–'] : []),
      setting.meaning,
    ]);
  return [[head, 'default', ...(withPlan ? ['in the plan'] : []), 'meaning'], ...rows];
}

/** The tables: config.toml, workers.toml, a project's file, toolchain.toml. */
export function configRows(): readonly Rows[] {
  const defaults = settingsIn(workersFileShape).filter(({ name }) => name.startsWith('defaults.'));
  const shared = new Set(defaults.map(({ name }) => name.slice('defaults.'.length)));
  const own = settingsIn(workerConfig as z.core.$ZodType).filter(({ name }) => !shared.has(name));
  return [
    settingsRows('key in config.toml', settingsIn(settingsFile), true),
    settingsRows('key in workers.toml', [...defaults, ...own], false),
    settingsRows("key in a project's `.rch/config.toml`", settingsIn(projectFile), true),
    settingsRows('key in toolchain.toml', settingsIn(toolchainShape), true),
  ];
}

/** The same as Markdown. */
export function configTables(): string[] {
  return configRows().map(([head = [], ...rows]) =>
    [head, head.map(() => '---'), ...rows]
      .map((row) => `| ${row.map(cell).join(' | ')} |`)
      .join('\n'),
  );
}
