/** A command that there is not: the error names the one that was meant, also where only its group was left out. */
import type { Command } from 'commander';
import { nearest } from '../base/nearest.ts';
import { allCommands, pathOf } from './examples.ts';
import { leaf, type Bind } from './leaf.ts';
import { ok } from '../base/result.ts';

function meantBy(group: Command, program: Command, name: string): string[] {
  const elsewhere = allCommands(program).filter((each) => each.name() === name);
  if (elsewhere.length > 0) return elsewhere.map(pathOf);
  const near = nearest(
    name,
    group
      .createHelp()
      .visibleCommands(group)
      .map((each) => each.name()),
  );
  return near === undefined ? [] : [[pathOf(group), near].join(' ').trim()];
}

/** Ends by way of commander, as its own errors do. */
function refuse(group: Command, program: Command, name: string): never {
  const meant = meantBy(group, program, name).map((path) => `rch ${path}`);
  const hint = meant.length === 0 ? '' : `\n(Did you mean ${meant.join(' or ')}?)`;
  const where = group === program ? '' : ` of rch ${pathOf(group)}`;
  return group.error(`error: unknown command '${name}'${where}${hint}`, {
    code: 'commander.unknownCommand',
  });
}

/** Of every command that has others below it; to be called when all are there. */
export function hintAtMeant(program: Command): void {
  for (const group of [program, ...allCommands(program)])
    if (group.commands.length > 0)
      group.on('command:*', ([name = '']: readonly string[]) => refuse(group, program, name));
}

/**
 * `rch help COMMAND…`, and the same in each group. commander's own takes one word, and prints something else for one that
 * it does not know.
 */
export function helpCommands(program: Command, bind: Bind): void {
  const groups = allCommands(program).filter((each) => each.commands.length > 0);
  for (const group of [program, ...groups]) {
    group.helpCommand(false);
    leaf(group, 'help [command...]', 'the help of a command').action(
      bind((_, __, words) => {
        let at = group;
        for (const word of words) {
          const below = at.commands.find((each) => each.name() === word);
          if (below === undefined) refuse(at, program, word);
          else at = below;
        }
        return Promise.resolve(ok({ facts: { help: helpText(at) }, text: () => helpText(at) }));
      }),
    );
  }
}

/** With what stands around it, as `--help` prints it. */
function helpText(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (more) => (text += more) });
  command.outputHelp();
  return text.trimEnd();
}
