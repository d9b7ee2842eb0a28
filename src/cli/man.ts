/** `rch man`: the manual page rch(1), from the commands, their options and examples, and the settings. man(7). */
import type { Command } from 'commander';
import { ok } from '../base/result.ts';
import { requestVariables } from '../config/request.ts';
import { settingsIn, type Setting } from '../config/known.ts';
import { projectFile } from '../config/project-schema.ts';
import { settingsFile } from '../config/schema.ts';
import { tomlValue, type TomlValue } from '../config/toml-value.ts';
import { allCommands, examples, pathOf } from './examples.ts';
import { exitMeanings, type Outcome } from './report.ts';

/** Text as roff takes it: no escapes, no requests at the start of a line, no typographic dashes. */
function roff(text: string): string {
  return text
    .replaceAll('`', '')
    .replace(/\\/g, '\\e')
    .replace(/-/g, '\\-')
    .replace(/^([.'])/gm, '\\&$1');
}

function commandPart(command: Command): string[] {
  const help = command.createHelp();
  const options = help
    .visibleOptions(command)
    .filter(({ long }) => long !== '--help')
    .flatMap((option) => ['.TP', `.B ${roff(option.flags)}`, roff(help.optionDescription(option))]);
  const lines = examples[pathOf(command)] ?? [];
  return [
    `.SS rch ${roff(`${pathOf(command)} ${command.usage()}`)}`,
    roff(command.description()),
    ...options,
    ...(lines.length === 0
      ? []
      : ['.PP', 'Examples:', '.PP', '.nf', '.RS', ...lines.map(roff), '.RE', '.fi']),
  ];
}

function settingPart({ name, initial, meaning, shown }: Setting): string[] {
  const value = shown ?? (initial === undefined ? '' : tomlValue(initial as TomlValue));
  return ['.TP', `.B ${roff(name)}${value === '' ? '' : ` \\fR(${roff(value)})`}`, roff(meaning)];
}

/** The page of the program at `version`. */
export function manPage(program: Command, version: string): string {
  const pairs = (all: readonly (readonly [string, string])[]): string[] =>
    all.flatMap(([name, meaning]) => ['.TP', `.B ${roff(name)}`, roff(meaning)]);
  return [
    `.TH RCH 1 "" "rch ${version}" "rch"`,
    '.SH NAME',
    'rch \\- run builds on other machines as though they ran here',
    '.SH SYNOPSIS',
    '.B rch',
    '[\\fIoptions\\fR] \\fIcommand\\fR',
    '.SH DESCRIPTION',
    roff(program.description()),
    '.SH OPTIONS',
    ...pairs(
      program
        .createHelp()
        .visibleOptions(program)
        .map((option) => [option.flags, option.description] as const),
    ),
    '.SH COMMANDS',
    ...allCommands(program).flatMap(commandPart),
    '.SH EXIT STATUS',
    ...pairs(exitMeanings),
    '.SH ENVIRONMENT',
    ...pairs(requestVariables),
    '.SH CONFIGURATION',
    'Environment over command line over project over user over system over default.',
    '.SS config.toml',
    ...settingsIn(settingsFile).flatMap(settingPart),
    ".SS a project's .rch/config.toml",
    ...settingsIn(projectFile).flatMap(settingPart),
    '.SH FILES',
    ...pairs([
      ['~/.config/rch/config.toml', 'settings of the user'],
      ['~/.config/rch/workers.toml', 'the machines that commands may run on'],
      ['.rch/config.toml', 'settings of a project'],
      ['/etc/rch/config.toml', 'settings of all users'],
    ]),
  ].join('\n');
}

export function man(program: Command, version: string): Outcome {
  const page = manPage(program, version);
  return ok({ facts: { page }, text: () => page });
}
