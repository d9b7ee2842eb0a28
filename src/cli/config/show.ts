/** `rch config show|get|path|keys`. */
import { existsSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { fail, ok } from '../../base/result.ts';
import { bySection, settingsIn, type Setting } from '../../config/known.ts';
import { filesOf, mergeLayers, type ConfigOutcome, type Layers } from '../../config/load.ts';
import { effective, type Effective, type Origin } from '../../config/origin.ts';
import { projectFile } from '../../config/project-schema.ts';
import { configTables } from '../../config/reference.ts';
import { settingsFile } from '../../config/schema.ts';
import { tomlValue, type TomlValue } from '../../config/toml-value.ts';
import { toolchainShape } from '../../config/toolchain-schema.ts';
import { workersFileShape } from '../../config/worker-schema.ts';
import { printable, table } from '../render/text.ts';
import type { Colors, Context, Outcome } from '../report.ts';
import { findSetting, layersHere, unknownKey } from './scope.ts';

/** `"info"`, `[]`, `{ A = "1" }`; empty where there is no value. */
export function valueText(value: unknown): string {
  return value === undefined ? '' : tomlValue(value as TomlValue);
}

/** `default`, `user, /home/me/.config/rch/config.toml:3`. */
function originText({ layer, from, line }: Origin): string {
  if (layer === 'default') return 'default';
  return `${layer}, ${from}${line > 0 ? `:${line}` : ''}`;
}

type Loaded = { readonly layers: Layers; readonly outcome: ConfigOutcome };

function load(context: Context): Loaded {
  const layers = layersHere(context);
  return { layers, outcome: mergeLayers(layers, context.layout, context.env) };
}

const factsOf = ({ setting, value, origins, waits }: Effective): Record<string, unknown> => ({
  key: setting.name,
  value: value ?? null,
  origins,
  waits,
});

function sections(rows: readonly Effective[], withOrigin: boolean, colors: Colors): string[] {
  const lines: string[] = [];
  let section = '';
  const ordered = bySection(rows, (row) => row.setting.name);
  for (const { setting, value, origins, waits } of ordered) {
    const parts = setting.name.split('.');
    const name = parts.pop() ?? '';
    const here = parts.join('.');
    if (here !== section) lines.push(...(lines.length > 0 ? [''] : []), colors.bold(`[${here}]`));
    section = here;
    const shown = value === undefined ? `# ${name}` : `${name} = ${printable(valueText(value))}`;
    const mine = origins.some(({ layer }) => layer !== 'default');
    const text = mine ? colors.green(shown) : shown;
    const trust = waits ? "; the project's waits for rch trust" : '';
    const from = withOrigin
      ? colors.dim(`   # ${origins.map(originText).join(' + ')}${trust}`)
      : '';
    lines.push(`${value === undefined && !withOrigin ? colors.dim(shown) : text}${from}`);
  }
  return lines;
}

/** A file may say what holds anyhow. */
const isChanged = ({ setting, value, origins }: Effective): boolean =>
  origins.some(({ layer }) => layer !== 'default') && !isDeepStrictEqual(value, setting.initial);

export type ShowOptions = { readonly origin: boolean; readonly changed: boolean };

/** `prefix`: only keys that begin so. */
export function configShow(
  context: Context,
  prefix: string | undefined,
  options: ShowOptions,
): Outcome {
  const { layers, outcome } = load(context);
  if (!outcome.ok) return outcome;
  const rows = effective(layers, outcome.value)
    .filter(({ setting }) => prefix === undefined || `${setting.name}.`.startsWith(`${prefix}.`))
    .filter((row) => !options.changed || isChanged(row));
  if (rows.length === 0 && prefix !== undefined && !options.changed)
    return unknownKey(prefix, settingsIn(settingsFile));
  const { untrusted } = outcome.value.config.project;
  const { workers } = outcome.value.config;
  return ok({
    facts: { settings: rows.map(factsOf), workers, untrusted, files: outcome.value.files },
    text: ({ colors }) =>
      [
        ...sections(rows, options.origin, colors),
        ...(untrusted.length === 0
          ? []
          : [
              '',
              `${colors.yellow('waits for rch trust:')} ${untrusted.join(', ')} (${layers.project?.file ?? ''})`,
            ]),
        ...(prefix === undefined && !options.changed
          ? ['', colors.dim(`# workers: ${layers.workers.file} (rch workers list)`)]
          : []),
      ].join('\n'),
  });
}

/** One value alone, as a script wants it: a text without quotes, a list by lines. */
function plain(value: unknown): string {
  if (value === undefined) return '';
  if (Array.isArray(value)) return value.map(String).join('\n');
  return typeof value === 'string' ? value : valueText(value);
}

export function configGet(context: Context, name: string): Outcome {
  const { layers, outcome } = load(context);
  if (!outcome.ok) return outcome;
  const rows = effective(layers, outcome.value);
  const named = findSetting(
    rows.map(({ setting }) => setting),
    name,
  );
  const row = rows.find(({ setting }) => setting.name === named?.setting.name);
  if (named === undefined || row === undefined)
    return unknownKey(
      name,
      rows.map(({ setting }) => setting),
    );
  const entry = named.path.at(-1) ?? '';
  const value = named.entry ? (row.value as Record<string, unknown>)[entry] : row.value;
  if (named.entry && value === undefined)
    return fail(`${name} is not set`, `rch config set ${name} …`);
  return ok({
    facts: { ...factsOf(row), key: name, value: value ?? null },
    text: () => plain(value),
  });
}

export function configPath(context: Context): Outcome {
  const layers = layersHere(context);
  const names = ['system', 'user', 'workers', 'project'] as const;
  const rows = filesOf(layers).map(({ file }, index) => ({
    layer: names[index] ?? 'project',
    file,
    exists: existsSync(file),
  }));
  return ok({
    facts: rows,
    text: () =>
      table(
        rows.map(({ layer, file, exists }) => [layer, exists ? '' : '(absent)', file]),
        Infinity,
      ),
  });
}

const settingFacts = (settings: readonly Setting[]): unknown =>
  settings.map(({ name, kind, initial, meaning }) => ({
    key: name,
    kind,
    default: initial ?? null,
    meaning,
  }));

/** Every key there is. `markdown`: the tables of the README. */
export function configKeys(markdown: boolean): Outcome {
  const schemas = [settingsFile, workersFileShape, projectFile, toolchainShape];
  const [user, workers, project, toolchain] = schemas.map((schema) => settingsIn(schema));
  const facts = {
    config: settingFacts(user ?? []),
    workers: settingFacts(workers ?? []),
    project: settingFacts(project ?? []),
    toolchain: settingFacts(toolchain ?? []),
  };
  return ok({
    facts,
    text: ({ width, colors }) => {
      if (markdown) return configTables().join('\n\n');
      const rows = (list: readonly Setting[] = []): string =>
        table(
          list.map(({ name, initial, meaning }) => [
            name,
            valueText(initial).slice(0, 24),
            meaning,
          ]),
          width,
        );
      return [
        colors.bold('config.toml'),
        rows(user),
        '',
        colors.bold("a project's .rch/config.toml"),
        rows(project),
        '',
        colors.bold('toolchain.toml'),
        rows(toolchain),
      ].join('\n');
    },
  });
}
