/** A file with every key of its kind as a comment, to begin from. */
import { bySection, type Setting } from './known.ts';
import { tomlValue, type TomlValue } from './toml-value.ts';

const heads = {
  project: [
    '# What rch does in this project. Everyone who clones it gets this file; keys marked "waits for rch trust" count',
    '# only after `rch trust`. Take the # away to set a key; `rch config validate` checks the file.',
  ],
  user: ['# Settings of rch. Take the # away to set a key; `rch config validate` checks the file.'],
  system: ['# Settings of rch for every user of this machine.'],
} as const;

/** Values by the names of settings. */
export type Examples = Readonly<Record<string, TomlValue>>;

/** The default; where there is none, what holds here without the setting, else what the schema has for an example. */
function exampleOf({ name, initial, example }: Setting, here: Examples): string {
  return tomlValue((initial as TomlValue | undefined) ?? here[name] ?? example ?? '');
}

/** `here`: what some settings would say that have no default, to leave everything as it is on this machine. */
export function templateOf(
  settings: readonly Setting[],
  scope: keyof typeof heads,
  here: Examples = {},
): string {
  const lines: string[] = [...heads[scope]];
  let section = '';
  for (const setting of bySection(settings, ({ name }) => name)) {
    const parts = setting.name.split('.');
    const name = parts.pop() ?? '';
    const table = parts.join('.');
    if (table !== section) lines.push('', `[${table}]`);
    section = table;
    const meaning = setting.meaning.replaceAll('`', '');
    if (setting.kind === 'table') lines.push(`# ${meaning}:`, `# ${name} = { NAME = "value" }`);
    else lines.push(`# ${meaning}`, `# ${name} = ${exampleOf(setting, here)}`);
  }
  return `${lines.join('\n')}\n`;
}
