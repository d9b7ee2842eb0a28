/** Walks the whole command line: help with an example for each command, completions, the manual page. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { createColors } from 'picocolors';
import { describe, expect, it } from 'vitest';
import { allCommands, examples, pathOf } from '../../src/cli/examples.ts';
import { manPage } from '../../src/cli/man.ts';
import { programFor } from '../../src/cli/program.ts';
import { completions } from '../../src/cli/completions.ts';
import { requestVariables } from '../../src/config/request.ts';

const program = programFor(import.meta.url);
const commands = allCommands(program);

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (more) => (text += more) });
  command.outputHelp();
  return text;
}

describe('every command', () => {
  it.each(commands.map((command) => [pathOf(command), command] as const))(
    '%s has help that says what it does, with an example',
    (path, command) => {
      const help = helpOf(command);
      expect(command.description()).not.toBe('');
      const [, shown = ''] = help.split('Examples:\n');
      expect(shown, `add an example for "${path}" to src/cli/examples.ts`).toContain(
        `rch ${path.split(' ')[0] ?? ''}`,
      );
      expect(help.split('Examples:').length, 'one list of examples').toBe(2);
    },
  );

  it('takes --json, --verbose, --quiet and --no-color, unless it runs something of the user', () => {
    const leaves = commands.filter((each) => each.commands.length === 0 && each.name() !== 'exec');
    for (const leaf of leaves)
      expect(leaf.options.map(({ long }) => long)).toEqual(
        expect.arrayContaining(['--json', '--verbose', '--quiet', '--no-color']),
      );
  });
});

it('has no example for a command that is no more', () => {
  const known = new Set(commands.map(pathOf));
  expect(Object.keys(examples).filter((path) => !known.has(path))).toEqual([]);
});

describe('the manual page', () => {
  const page = manPage(program, '1.2.3');

  it('names every command and every variable', () => {
    for (const command of commands)
      expect(page).toContain(`.SS rch ${pathOf(command).replaceAll('-', '\\-')}`);
    for (const [name] of requestVariables) expect(page).toContain(name);
  });

  it('is read by man without a complaint', () => {
    const read = spawnSync('man', ['--warnings', '-E', 'UTF-8', '-l', '-'], {
      input: page,
      encoding: 'utf8',
      env: { ...process.env, MANWIDTH: '80', MANPAGER: 'cat', LC_ALL: 'C.UTF-8' },
    });
    expect(read.stderr).toBe('');
    expect(read.stdout).toContain('EXIT STATUS');
  });
});

describe('completions', () => {
  it.each(['bash', 'zsh', 'fish'] as const)('of %s are lines that it understands', (shell) => {
    const made = completions(shell);
    if (!made.ok) throw new Error(made.failure.reason);
    const script = made.value.text({ colors: createColors(false), width: 80 });
    const file = join(mkdtempSync(join(tmpdir(), 'rch-completions-')), 'script');
    writeFileSync(file, script);
    execFileSync(shell, ['-n', file]);
    rmSync(dirname(file), { recursive: true });
  });
});
