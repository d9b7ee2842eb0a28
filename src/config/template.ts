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

/** What could stand there where there is no default. */
function exampleOf({ kind, initial }: Setting): string {
  if (initial !== undefined) return tomlValue(initial as TomlValue);
  if (kind === 'list') return '[]';
  if (kind === 'number') return '1';
  return kind === 'boolean' ? 'false' : '""';
}

export function templateOf(settings: readonly Setting[], scope: keyof typeof heads): string {
  const lines: string[] = [...heads[scope]];
  let section = '';
  for (const setting of bySection(settings, ({ name }) => name)) {
    const parts = setting.name.split('.');
    const name = parts.pop() ?? '';
    const here = parts.join('.');
    if (here !== section) lines.push('', `[${here}]`);
    section = here;
    const meaning = setting.meaning.replaceAll('`', '');
    if (setting.kind === 'table') lines.push(`# ${meaning}:`, `# ${name} = { NAME = "value" }`);
    else lines.push(`# ${meaning}`, `# ${name} = ${exampleOf(setting)}`);
  }
  return `${lines.join('\n')}\n`;
}
