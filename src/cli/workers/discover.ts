/** `rch workers discover`: machines of ssh_config and of ssh aliases, asked side by side, to pick workers from. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { withPort } from '../../base/place.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { loadConfig } from '../../config/load.ts';
import { machineFacts } from '../../facts/machine.ts';
import { count, printable, size, table } from '../render/text.ts';
import { compilers } from '../render/worker.ts';
import { exitCodes, type Context, type Look, type Outcome } from '../report.ts';
import { addWorker } from './add.ts';
import { findMachines, sideBySide, type Found } from './found.ts';
import { hostKeyOf } from './host-key.ts';
import { survey, unsuited, type Survey } from './survey.ts';

/** Machines asked at once. */
const SIDE_BY_SIDE = 16;

export type Asked = {
  readonly found: Found;
  /**
   * - `ready`: it may become a worker.
   * - `known`: it is one.
   * - `unsuited`: it cannot, see `reason`.
   * - `unreachable`: nobody got in.
   * - `skipped`: it was not asked.
   */
  readonly state: 'ready' | 'known' | 'unsuited' | 'unreachable' | 'skipped';
  readonly reason: string;
  readonly next: string;
  readonly hostKey: {
    readonly type: string;
    readonly fingerprint: string;
    readonly known: boolean;
  } | null;
  readonly survey: Survey | null;
};

type Here = { readonly arch: string; readonly libc: string };

/** Logs in under the key that the host shows now; nothing is written down. */
async function ask(context: Context, found: Found, here: Here): Promise<Asked> {
  const none = { found, hostKey: null, survey: null };
  if (found.skipped !== '') return { ...none, state: 'skipped', reason: found.skipped, next: '' };
  if (found.known !== undefined)
    return { ...none, state: 'known', reason: `it is the worker ${found.known}`, next: '' };
  const { host, user, port, identityFile } = found;
  const key = await hostKeyOf({ host, user, port }, context.layout);
  if (!key.ok) {
    const { reason, next = '' } = key.failure;
    return { ...none, state: 'unreachable', reason, next };
  }
  const { type, fingerprint, knownIn, line } = key.value;
  const hostKey = { type, fingerprint, known: knownIn !== undefined };
  const folder = mkdtempSync(join(tmpdir(), 'rch-discover-'));
  try {
    const knownHosts = join(folder, 'known_hosts');
    writeFileSync(knownHosts, `${line}\n`);
    const place = { transport: 'ssh' as const, host, user, port, identityFile, command: [] };
    const told = await survey(place, compilers, { layout: context.layout, knownHosts });
    if (!told.ok) {
      const { reason, next = '' } = told.failure;
      return { found, hostKey, survey: null, state: 'unreachable', reason, next };
    }
    const why = unsuited(told.value, here);
    const state = why === undefined ? 'ready' : 'unsuited';
    return { found, hostKey, survey: told.value, state, reason: why ?? '', next: '' };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const placeOf = ({ effective }: Found): string =>
  `${effective.user}@${effective.port === 22 ? effective.host : withPort(effective.host, effective.port)}`;

function has({ tools }: Survey): string {
  const shown = ['gcc', 'clang', 'make', 'cmake', 'ninja'].filter((tool) => tool in tools);
  return shown.length === 0 ? 'no compiler yet' : shown.join(' ');
}

function whatOf({ state, reason, survey: told, hostKey }: Asked): string {
  if (told === null || state !== 'ready') return `${state}: ${printable(reason)}`;
  const key = hostKey?.known === false ? '; host key not known yet' : '';
  return `${told.system}, ${told.cores} cores, ${size(told.memory)}, ${has(told)}${key}`;
}

export function discoverTable(asked: readonly Asked[], { width }: Look): string {
  const rows = asked.map((each, at) => [
    String(at + 1),
    each.found.id,
    placeOf(each.found),
    whatOf(each),
  ]);
  return table([['#', 'ID', 'WHERE', 'WHAT'], ...rows], width);
}

/** Ids or numbers of rows, separated by spaces or commas; `all` means those that are ready. */
export function picked(answer: string, asked: readonly Asked[]): Result<readonly Asked[]> {
  const ready = asked.filter(({ state }) => state === 'ready');
  const words = answer.split(/[\s,]+/).filter((word) => word !== '');
  if (words.length === 1 && words[0] === 'all') return ok(ready);
  const chosen: Asked[] = [];
  for (const word of words) {
    const row =
      asked.find(({ found }) => found.id === word) ??
      (/^\d+$/.test(word) ? asked[Number(word) - 1] : undefined);
    if (row === undefined)
      return fail(`"${word}" is no id and no number of the table`, 'rch workers discover');
    if (row.state !== 'ready')
      return fail(`${row.found.id} cannot be added: ${row.reason}`, row.next);
    if (!chosen.includes(row)) chosen.push(row);
  }
  return ok(chosen);
}

async function question(asked: readonly Asked[], context: Context): Promise<readonly Asked[]> {
  const looks = { ...context.look, width: process.stderr.columns };
  context.note(discoverTable(asked, looks));
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    for (;;) {
      const answer = await asking.question('Add which? (numbers, ids, all; nothing for none) ');
      const chosen = picked(answer, asked);
      if (chosen.ok) return chosen.value;
      context.note(chosen.failure.reason);
    }
  } finally {
    asking.close();
  }
}

export type DiscoverOptions = {
  readonly add: readonly string[];
  /** Adds all that are ready. */
  readonly yes: boolean;
  readonly acceptHostKey: boolean;
};

type Choice = {
  readonly rows: readonly Asked[];
  /** The table was shown with the question. */
  readonly shown: boolean;
};

async function chosenBy(
  options: DiscoverOptions,
  asked: readonly Asked[],
  context: Context,
): Promise<Result<Choice>> {
  const silent = (rows: Result<readonly Asked[]>): Result<Choice> =>
    rows.ok ? ok({ rows: rows.value, shown: false }) : rows;
  if (options.add.length > 0) return silent(picked(options.add.join(' '), asked));
  if (options.yes) return silent(picked('all', asked));
  const ready = asked.some(({ state }) => state === 'ready');
  const terminal = process.stdin.isTTY && process.stderr.isTTY;
  if (!ready || !terminal || context.json) return silent(ok([]));
  return ok({ rows: await question(asked, context), shown: true });
}

type Added = { readonly id: string; readonly added: boolean; readonly reason: string };

async function addAll(
  context: Context,
  rows: readonly Asked[],
  acceptHostKey: boolean,
): Promise<Added[]> {
  const added: Added[] = [];
  for (const { found } of rows) {
    const { id, host, user, port, identityFile } = found;
    const done = await addWorker(context, {
      ...{ id, transport: 'ssh', host, user, port, identityFile, acceptHostKey },
      ...{ totalSlots: undefined, priority: undefined, tags: [], command: [] },
    });
    added.push({ id, added: done.ok, reason: done.ok ? '' : reasonOf(done.failure) });
  }
  return added;
}

const reasonOf = ({ reason, next = '' }: { reason: string; next?: string }): string =>
  next === '' ? reason : `${reason}; ${next}`;

type Told = Pick<Choice, 'shown'> & {
  readonly asked: readonly Asked[];
  readonly added: readonly Added[];
};

function text({ asked, added, shown }: Told, look: Look): string {
  if (asked.length === 0)
    return 'no machine is named in ~/.ssh/config or in an ssh alias: rch workers add --id NAME --host HOST';
  const problems = added.length > 0 ? [] : asked.filter(({ next }) => next !== '');
  return [
    ...(added.length === 0 && !shown ? [discoverTable(asked, look)] : []),
    ...problems.map(({ found, next }) => `${found.id}: ${printable(next)}`),
    ...added.map((each) =>
      each.added
        ? look.colors.green(`added ${each.id}`)
        : look.colors.red(`${each.id}: ${each.reason}`),
    ),
    added.some((each) => each.added)
      ? 'next: rch workers probe --all'
      : 'nothing was changed; to add some: rch workers discover --add ID…, or --yes for all that are ready',
  ].join('\n');
}

export async function discoverWorkers(
  context: Context,
  options: DiscoverOptions,
): Promise<Outcome> {
  const { layout, env, note } = context;
  const config = loadConfig(layout, env);
  if (!config.ok) return config;
  const found = await findMachines(env, config.value.config.workers);
  const here = await machineFacts([], { path: env['PATH'] ?? '', skip: [layout.shims] });
  const unknown = found.filter((each) => each.skipped === '' && each.known === undefined);
  if (unknown.length > 0) note(`asking ${count(unknown.length, 'machine')} …`);
  const asked = await sideBySide(found, SIDE_BY_SIDE, (each) => ask(context, each, here));
  const choice = await chosenBy(options, asked, context);
  if (!choice.ok) return choice;
  const { rows, shown } = choice.value;
  const added = await addAll(context, rows, options.acceptHostKey);
  return ok({
    facts: {
      found: asked.map(({ found: place, ...rest }) => ({ ...place, ...rest })),
      added,
    },
    text: (look) => text({ asked, added, shown }, look),
    exit: added.some((each) => !each.added) ? exitCodes.failed : exitCodes.done,
  });
}
