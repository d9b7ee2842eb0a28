/** `rch complete -- WORDS`: what may stand in the place of the last word; called by the shells' completions. */
import type { Argument, Command, Option } from 'commander';
import { ok } from '../base/result.ts';
import { DaemonClient } from '../client/daemon-client.ts';
import { settingsIn } from '../config/known.ts';
import { loadConfig } from '../config/load.ts';
import { projectFile } from '../config/project-schema.ts';
import { settingsFile } from '../config/schema.ts';
import { shortId } from './render/record.ts';
import { printable } from './render/text.ts';
import type { CompletionShell } from './completions.ts';
import type { Context, Outcome } from './report.ts';

export type Candidate = { readonly word: string; readonly about: string };

/** Where the last word stands. */
type Place = {
  readonly command: Command;
  /** The option whose value it is. */
  readonly option: Option | undefined;
  /** How many plain words stand before it. */
  readonly position: number;
  /** Behind `--`: nothing of ours. */
  readonly foreign: boolean;
};

function optionOf(command: Command, word: string): Option | undefined {
  const [flag] = word.split('=', 1);
  return command.options.find((each) => each.long === flag || each.short === flag);
}

const takesValue = (option: Option | undefined): option is Option =>
  option !== undefined && (option.required || option.optional);

/** Follows the words before the last one. */
function placeAfter(program: Command, words: readonly string[]): Place {
  let command = program;
  let position = 0;
  let option: Option | undefined;
  for (const word of words) {
    if (option !== undefined) {
      option = undefined;
      continue;
    }
    if (word === '--') return { command, option, position, foreign: true };
    if (word.startsWith('-')) {
      const known = optionOf(command, word);
      option = takesValue(known) && !word.includes('=') ? known : undefined;
      continue;
    }
    const below = command.commands.find(
      (each) => each.name() === word || each.aliases().includes(word),
    );
    if (below === undefined) position += 1;
    else [command, position] = [below, 0];
  }
  return { command, option, position, foreign: false };
}

function workersOf({ layout, env }: Context): Candidate[] {
  const config = loadConfig(layout, { HOME: env['HOME'] });
  if (!config.ok) return [];
  return config.value.config.workers.map(({ id, host }) => ({ word: id, about: host ?? '' }));
}

/** Running jobs, kept results and the latest commands; nothing without a daemon. */
async function jobsOf({ layout }: Context): Promise<Candidate[]> {
  const client = await DaemonClient.connect(layout);
  if (!client.ok) return [];
  const deadline = { timeoutMs: 2000 };
  const jobs = await client.value.call('jobs', {}, deadline);
  const recent = await client.value.call('history', { n: 15 }, deadline);
  client.value.close();
  const found = [
    ...(jobs.ok ? [...jobs.value.running, ...jobs.value.kept] : []),
    ...(recent.ok ? recent.value.filter(({ decision }) => decision === 'remote') : []),
  ];
  const words = new Map(found.map(({ id, command }) => [shortId(id), printable(command)]));
  return [...words].map(([word, about]) => ({ word, about }));
}

function keys(): Candidate[] {
  const all = [...settingsIn(settingsFile), ...settingsIn(projectFile)];
  return [...new Map(all.map(({ name, meaning }) => [name, meaning]))].map(([word, about]) => ({
    word,
    about,
  }));
}

/** What a word of that name stands for: the same names in every command. */
async function valuesFor(name: string, context: Context): Promise<Candidate[]> {
  if (['id', 'ids', 'worker', 'workers'].includes(name)) return workersOf(context);
  if (['job', 'jobs', 'what'].includes(name)) return jobsOf(context);
  return name === 'key' ? keys() : [];
}

const plain = (words: readonly string[]): Candidate[] => words.map((word) => ({ word, about: '' }));

function argumentAt(command: Command, position: number): Argument | undefined {
  const all = command.registeredArguments;
  const last = all.at(-1);
  return all[position] ?? (last?.variadic === true ? last : undefined);
}

async function candidates(place: Place, current: string, context: Context): Promise<Candidate[]> {
  const { command, option, position, foreign } = place;
  if (foreign) return [];
  if (option !== undefined) {
    if (option.argChoices !== undefined) return plain(option.argChoices);
    return valuesFor(option.name(), context);
  }
  const help = command.createHelp();
  if (current.startsWith('-'))
    return help
      .visibleOptions(command)
      .flatMap(({ long, description }) =>
        long == null ? [] : [{ word: long, about: description }],
      );
  const below = help
    .visibleCommands(command)
    .map((each) => ({ word: each.name(), about: each.description() }));
  const argument = argumentAt(command, position);
  if (argument === undefined) return position === 0 ? below : [];
  const values = argument.argChoices ?? undefined;
  return [
    ...below,
    ...(values === undefined ? await valuesFor(argument.name(), context) : plain(values)),
  ];
}

/** One candidate as the shell takes it; zsh parts word and description by a colon, fish by a tab. */
function lineFor(shell: CompletionShell, { word, about }: Candidate): string {
  if (shell === 'bash' || about === '') return shell === 'zsh' ? word.replaceAll(':', '\\:') : word;
  return shell === 'zsh' ? `${word.replaceAll(':', '\\:')}:${about}` : `${word}\t${about}`;
}

/** `words`: those after `rch`, the one that is being typed last. */
export async function complete(
  program: Command,
  context: Context,
  { shell, words }: { readonly shell: CompletionShell; readonly words: readonly string[] },
): Promise<Outcome> {
  const current = words.at(-1) ?? '';
  const all = await candidates(placeAfter(program, words.slice(0, -1)), current, context);
  const found = all.filter(({ word }) => word.startsWith(current));
  return ok({ facts: found, text: () => found.map((each) => lineFor(shell, each)).join('\n') });
}
