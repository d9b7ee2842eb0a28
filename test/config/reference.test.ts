/** The README's tables of settings are what the schemas say. `rch config keys --markdown` prints them anew. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { settingsIn } from '../../src/config/known.ts';
import { projectFile } from '../../src/config/project-schema.ts';
import { configTables } from '../../src/config/reference.ts';
import { requestVariables } from '../../src/config/request.ts';
import { settingsFile } from '../../src/config/schema.ts';
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

it('a fresh file is right as it is, and with every key of it set', () => {
  for (const [schema, scope] of [
    [settingsFile, 'user'],
    [projectFile, 'project'],
  ] as const) {
    const text = templateOf(settingsIn(schema), scope);
    expect(checkText('f', text, schema)).toEqual([]);
    const set = text.replace(/^# (?=[a-z_]+ = (?!""|1$|false$))/gm, '');
    expect(checkText('f', set, schema)).toEqual([]);
  }
});
