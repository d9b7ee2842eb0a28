/** The README's tables of settings are what the schemas say. `rch config keys --markdown` prints them anew. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { commandKinds, kindKey, usualConfidence } from '../../src/base/command-kinds.ts';
import { settingsIn } from '../../src/config/known.ts';
import { projectFile } from '../../src/config/project-schema.ts';
import { configTables } from '../../src/config/reference.ts';
import { requestVariables } from '../../src/config/request.ts';
import { withProject } from '../../src/config/project-layer.ts';
import { camelKeys, snakeOf } from '../../src/config/problems.ts';
import { defaultConfig, settingsFile } from '../../src/config/schema.ts';
import { templateOf } from '../../src/config/template.ts';
import { workerConfig } from '../../src/config/worker-schema.ts';
import { checkText } from '../../src/config/layers.ts';

const readme = readFileSync(join(import.meta.dirname, '..', '..', 'README.md'), 'utf8');

/** Cells alone: the formatter decides on widths. */
const cells = (line: string): string =>
  line
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim())
    .join('|');
const lines = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\|[\s|-]+$/.test(line))
    .map(cells);

describe('the README', () => {
  it.each(configTables().map((table, index) => [index, table] as const))(
    'has table %i of settings as the schemas give it',
    (_, table) => {
      const rows = lines(table);
      const all = lines(readme);
      const from = all.indexOf(rows[0] ?? '');
      expect(from, `no table begins with ${rows[0] ?? ''}`).toBeGreaterThanOrEqual(0);
      expect(all.slice(from, from + rows.length)).toEqual(rows);
    },
  );

  it.each(requestVariables.map(([name]) => [name.replace(/=.*/, '')]))('names %s', (name) => {
    expect(readme).toContain(name);
  });
});

it('every setting says what it means', () => {
  const all = [settingsFile, projectFile, workerConfig].flatMap((schema) => settingsIn(schema));
  expect(all.filter(({ meaning }) => meaning === '').map(({ name }) => name)).toEqual([]);
});

/** How sure the classification of a kind is that `classify.confidence.KIND` is about. */
function usual(name: string): number | undefined {
  const kind = commandKinds.find(
    (each) => `classify.confidence.${snakeOf(kindKey(each))}` === name,
  );
  return kind === undefined ? undefined : usualConfidence[kind];
}

it('a fresh file is right as it is, and with every key of it set', () => {
  for (const [schema, scope] of [
    [settingsFile, 'user'],
    [projectFile, 'project'],
  ] as const) {
    const text = templateOf(settingsIn(schema), scope);
    expect(checkText('f', text, schema)).toEqual([]);
    const line = /^# (?=[a-z_]+ = )/;
    const rows = text.split('\n');
    const settable = [...rows.keys()].filter((at) => line.test(rows[at] ?? ''));
    expect(settable).toHaveLength(settingsIn(schema).length);
    for (const at of settable) {
      const one = rows.with(at, (rows[at] ?? '').replace(line, ''));
      expect(checkText('f', one.join('\n'), schema), rows[at]).toEqual([]);
    }
    const set = rows.map((row) => row.replace(line, '')).join('\n');
    expect(checkText('f', set, schema)).toEqual([]);
  }
});

/** Without a default there may be no value that changes nothing. */
const meant =
  /^(general\.log_file|daemon\.pid_file|benchmark\.url|workers\.|traces\.|execution\.env)/;

it('a key of a fresh file changes nothing by being set as it stands there', () => {
  for (const { name, initial, example } of settingsIn(settingsFile))
    if (initial === undefined && !meant.test(name))
      expect(example, name).toBe(usual(name) ?? availableParallelism());
  const before = defaultConfig();
  const text = templateOf(
    settingsIn(projectFile).filter(
      ({ name }) => !/^(project\.|workers\.|hooks\.|execution\.env)/.test(name),
    ),
    'project',
  ).replace(/^# (?=[a-z_]+ = )/gm, '');
  const file = projectFile.parse(camelKeys(parse(text)));
  const cores = { ...before.execution, cores: availableParallelism() };
  const plain = withProject(before, projectFile.parse({}), true);
  expect(withProject(before, file, true)).toEqual({
    ...plain,
    execution: cores,
  });
});
