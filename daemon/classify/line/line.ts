/**
 * The five tiers for a command in the form of a shell line: what each simple command of it is, and whether the shims
 * should be on PATH for the line. Pure; the shim decides anew from the real argv, so in doubt it says: wrap.
 */
import type {
  LineCommand,
  LineReply,
  TierOutcome,
  TierVerdict,
} from '../../../src/protocol/methods.ts';
import { isOn, switchOf } from '../../../src/config/request.ts';
import { StreamKind } from '../../../src/protocol/shim.ts';
import { classify } from '../classify.ts';
import { confidenceOf, excludedBy, type Rules } from '../confidence.ts';
import { familyOf } from '../family.ts';
import type { AliasLookup, Request } from '../request.ts';
import type { Verdict } from '../verdict.ts';
import { hint, instantReject, keywordIn } from './instant.ts';
import { structureOf, type SimpleCommand, type Structure, type Word } from './shell.ts';
import { findCommands, nameOf, unwrap, type Unwrapped } from './wrappers.ts';

/** What surrounds a line. */
export type LineContext = {
  /** UTF-8 text, absolute. */
  readonly cwd: string;
  readonly env: ReadonlyMap<string, string>;
  /** The folder of the shims; text. */
  readonly shimDir: string;
  /** What is configured for a folder; text. */
  readonly rulesFor: (cwd: string) => Rules;
  readonly aliasesOf: (request: Request) => AliasLookup;
  /** µs; absent: no times are taken. */
  readonly clock?: () => number;
};

/** Texts within texts (`sh -c "sh -c …"`) beyond this are in doubt. */
const MOST_NESTED = 8;

type Reading = {
  readonly context: LineContext;
  readonly depth: number;
  /** Where the text around this one runs, and what its wrappers say. */
  readonly wrappers: readonly string[];
  readonly assignments: Unwrapped['assignments'];
  readonly tracer: string | undefined;
};

type Step = { readonly verdict: TierOutcome; readonly reason: string };
const pass = (reason: string): Step => ({ verdict: 'pass', reason });
const here = (reason: string): Step => ({ verdict: 'here', reason });
const doubt = (reason: string): Step => ({ verdict: 'doubt', reason });

function timed(context: LineContext, tier: number, look: () => Step): TierVerdict {
  const begun = context.clock?.();
  const step = look();
  if (begun === undefined || context.clock === undefined) return { tier, ...step };
  return { tier, ...step, micros: Math.max(0, context.clock() - begun) };
}

const raw = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
const closed = { kind: StreamKind.closed, flags: 0, dev: 0n, ino: 0n } as const;

/** A command once its wrappers are off. */
type Bare = Unwrapped & {
  readonly command: SimpleCommand;
  readonly cwd: string;
};

function requestOf(bare: Bare, context: LineContext, words: readonly Word[]): Request {
  const argv = words.map((word) => raw(word.value));
  const env = new Map([...context.env].map(([name, value]) => [raw(name), raw(value)]));
  for (const { name, value } of [...bare.command.assignments, ...bare.assignments])
    if (value.literal) env.set(name, raw(value.value));
  return {
    tool: nameOf(words[0]),
    real: argv[0] ?? '',
    shimDir: raw(context.shimDir),
    argv,
    cwd: raw(bare.cwd),
    env,
    streams: [closed, closed, closed],
    shared: 0,
  };
}

/** What the launcher answers by itself. */
function switchedOff(bare: Bare): string | undefined {
  const all = [...bare.command.assignments, ...bare.assignments];
  const value = (name: string): string | undefined =>
    all.findLast((each) => each.name === name && each.value.literal)?.value.value;
  if (isOn(value('RCH_BYPASS'))) return 'RCH_BYPASS is set';
  return switchOf(value('RCH_ENABLED')) === false ? 'RCH_ENABLED is off' : undefined;
}

function instantTier(bare: Bare): Step {
  const off = switchedOff(bare);
  if (off !== undefined) return here(off);
  const reason = instantReject(bare.words);
  return reason === undefined ? pass('it may be anything') : here(reason);
}

function keywordTier(bare: Bare): Step {
  const reason = hint(bare.words, bare.command.text);
  return reason === undefined ? here('no word of it hints at a build') : pass(reason);
}

/** Classifies as a shim would, and once more without the words that only the shell knows. */
function verdictOf(bare: Bare, context: LineContext): Verdict | 'unknown' {
  const of = (words: readonly Word[]): Verdict => {
    const request = requestOf(bare, context, words);
    return classify(request, context.aliasesOf(request));
  };
  const verdict = of(bare.words);
  if (verdict.kind === 'candidate' || bare.words.every((word) => word.literal)) return verdict;
  const known = of(bare.words.filter((word) => word.literal));
  return known.kind === 'local' && known.reason === verdict.reason ? verdict : 'unknown';
}

function isOurs(bare: Bare): boolean {
  const name = nameOf(bare.words[0]);
  return bare.words[0]?.literal === true && !name.includes('/') && familyOf(name) !== undefined;
}

function neverTier(
  bare: Bare,
  context: LineContext,
  verdict: Verdict | 'unknown' | undefined,
): Step {
  const argv = bare.words.map((word) => word.value);
  const kind = typeof verdict === 'object' && verdict.kind === 'candidate' ? verdict : undefined;
  if (typeof verdict === 'object' && verdict.kind === 'local') return here(verdict.reason);
  if (bare.tracer !== undefined)
    return here(`${bare.tracer} looks at the process itself, which must be here`);
  const pattern = excludedBy(kind?.command, argv, context.rulesFor(bare.cwd));
  if (pattern !== undefined) return here(`classify.exclude keeps ${pattern} here`);
  return pass('nothing on the list of what is never remote');
}

/** Why no shim may be asked about it after all. */
function unasked(bare: Bare): string {
  const owner = bare.wrappers.find((name) => name === 'sudo' || name === 'doas');
  if (owner !== undefined) return `; ${owner} gives it a PATH of its own`;
  return bare.words[0]?.value.startsWith('/') === true
    ? '; called by its path, past the shims'
    : '';
}

type Full = Step & { readonly confidence: number | null };

function fullTier(
  bare: Bare,
  context: LineContext,
  verdict: Verdict | 'unknown' | undefined,
): Full {
  const nothing = { confidence: null };
  const name = nameOf(bare.words[0]);
  if (/^bazel(isk)?$/.test(name))
    return { ...here('bazel has workers of its own, and would remember the shims'), ...nothing };
  if (verdict === undefined) {
    const script = doubt(`${name} may call a build tool: a shim that meets one decides`);
    return { ...script, ...nothing };
  }
  if (verdict === 'unknown' || verdict.kind === 'local')
    return { ...doubt('what it does hangs on an expansion: the shim decides'), ...nothing };
  const rules = context.rulesFor(bare.cwd);
  const argv = bare.words.map((word) => word.value);
  const confidence = confidenceOf(verdict.command, argv, rules);
  const compared = `${verdict.command}, confidence ${confidence.toFixed(2)}, threshold ${rules.confidenceThreshold.toFixed(2)}`;
  return confidence >= rules.confidenceThreshold
    ? { verdict: 'candidate', reason: `${compared}${unasked(bare)}`, confidence }
    : { ...here(compared), confidence };
}

function commandReply(
  bare: Bare,
  wrappers: readonly string[],
  known: boolean,
): Pick<LineCommand, 'text' | 'words' | 'fixed' | 'wrappers' | 'assignments' | 'cwd'> {
  const name = bare.words[0];
  return {
    text: bare.command.text,
    words: [
      ...(name === undefined ? [] : [nameOf(name)]),
      ...bare.words.slice(1).map((word) => word.value),
    ],
    fixed: bare.words.every((word) => word.literal),
    wrappers: [...wrappers, ...bare.wrappers],
    assignments: [...bare.command.assignments, ...bare.assignments].map(
      ({ name: key, value }) => `${key}=${value.value}`,
    ),
    cwd: known ? bare.cwd : null,
  };
}

function judge(bare: Bare, reading: Reading): LineCommand {
  const { context } = reading;
  const reply = commandReply(bare, reading.wrappers, bare.command.cwd !== undefined);
  let verdict: Verdict | 'unknown' | undefined;
  let confidence: number | null = null;
  const looks: readonly (readonly [number, () => Step])[] = [
    [0, () => instantTier(bare)],
    [2, () => keywordTier(bare)],
    [
      3,
      () => {
        if (isOurs(bare)) verdict = verdictOf(bare, context);
        return neverTier(bare, context, verdict);
      },
    ],
    [
      4,
      () => {
        const full = fullTier(bare, context, verdict);
        ({ confidence } = full);
        return { verdict: full.verdict, reason: full.reason };
      },
    ],
  ];
  const tiers: TierVerdict[] = [];
  for (const [tier, look] of looks) {
    const found = timed(context, tier, look);
    tiers.push(found);
    if (found.verdict !== 'pass')
      return { ...reply, verdict: found.verdict, reason: found.reason, confidence, tiers };
  }
  return { ...reply, verdict: 'doubt', reason: 'no tier decided', confidence, tiers };
}

/** A command whose text only the shell will know, or is nested too deeply. */
function unread(bare: Bare, reading: Reading, reason: string): LineCommand {
  const reply = commandReply(bare, reading.wrappers, bare.command.cwd !== undefined);
  const tiers = [{ tier: 1, verdict: 'doubt' as const, reason }];
  return { ...reply, verdict: 'doubt', reason, confidence: null, tiers };
}

function nestedCommands(bare: Bare, text: Word, reading: Reading): LineCommand[] {
  if (!text.literal) return [unread(bare, reading, 'an expansion decides what it runs')];
  if (reading.depth >= MOST_NESTED) return [unread(bare, reading, 'it is too deeply nested')];
  const structure = structureOf(text.value, bare.command.cwd);
  const inner = within(reading, bare);
  const found = structure.commands.flatMap((command) => commandsOf(command, inner));
  const reason = structure.trouble === undefined ? undefined : suspicion(text.value, structure);
  return reason === undefined ? found : [...found, unread(bare, reading, reason)];
}

/** What is said of the commands inside one: its wrappers and its assignments hold for them too. */
function within(reading: Reading, bare: Bare): Reading {
  return {
    ...reading,
    depth: reading.depth + 1,
    wrappers: [...reading.wrappers, ...bare.wrappers, nameOf(bare.words[0])],
    assignments: [...reading.assignments, ...bare.command.assignments, ...bare.assignments],
    tracer: bare.tracer,
  };
}

function commandsOf(command: SimpleCommand, reading: Reading): LineCommand[] {
  const found = unwrap(command.words);
  if (command.words.length === 0) return [];
  const bare: Bare = {
    ...found,
    assignments: [...reading.assignments, ...found.assignments],
    tracer: reading.tracer ?? found.tracer,
    command,
    cwd: command.cwd ?? reading.context.cwd,
  };
  if (bare.nested !== undefined) return nestedCommands(bare, bare.nested, reading);
  const searched = findCommands(bare.words);
  if (searched.length === 0) return [judge(bare, reading)];
  const inner = { ...within(reading, bare), assignments: bare.assignments };
  return reading.depth >= MOST_NESTED
    ? [unread(bare, reading, 'it is too deeply nested')]
    : searched.flatMap((words) => commandsOf({ ...command, words }, inner));
}

/** What in a text that could not be read whole hints at a build. */
function suspicion(text: string, structure: Structure): string | undefined {
  const keyword =
    keywordIn(text) ??
    text.split(/[\s;|&()`'"]+/).find((word) => word.length < 64 && familyOf(word) !== undefined);
  return keyword === undefined
    ? undefined
    : `${structure.trouble ?? 'it cannot be read'}; it speaks of ${keyword}`;
}

function structureTier(line: string, structure: Structure): Step {
  const count = structure.commands.length;
  const what = `${count} simple command${count === 1 ? '' : 's'}`;
  if (structure.trouble !== undefined) {
    const reason = suspicion(line, structure);
    if (reason !== undefined) return doubt(reason);
    return pass(`${what}; ${structure.trouble}`);
  }
  const features =
    structure.features.length === 0
      ? ''
      : `, with ${structure.features.join(', ')}: the shell here sees to that`;
  return pass(`${what}${features}`);
}

const laterFolder = /^(\/usr)?(\/local)?\/s?bin$|\/\.cargo\/bin$/;

/** Whether a PATH finds the shims before the tools they stand for. */
function shimsFirst({ env, shimDir }: LineContext): boolean {
  const folders = (env.get('PATH') ?? '').split(':');
  const ours = folders.indexOf(shimDir);
  return ours >= 0 && !folders.slice(0, ours).some((folder) => laterFolder.test(folder));
}

export function classifyLine(line: string, context: LineContext): LineReply {
  const empty = timed(context, 0, () =>
    line.trim() === '' ? here('the line is empty') : pass('the line is not empty'),
  );
  if (empty.verdict === 'here')
    return { tiers: [empty], commands: [], wrap: false, reason: empty.reason };
  let structure: Structure | undefined;
  const whole = timed(context, 1, () => {
    structure = structureOf(line, context.cwd);
    return structureTier(line, structure);
  });
  const reading: Reading = { context, depth: 0, wrappers: [], assignments: [], tracer: undefined };
  const commands = (structure?.commands ?? []).flatMap((each) => commandsOf(each, reading));
  return { tiers: [empty, whole], commands, ...conclusion(whole, commands, context) };
}

function conclusion(
  whole: TierVerdict,
  commands: readonly LineCommand[],
  context: LineContext,
): Pick<LineReply, 'wrap' | 'reason'> {
  const ours =
    commands.find((each) => each.verdict === 'candidate') ??
    commands.find((each) => each.verdict === 'doubt');
  const why =
    ours === undefined
      ? whole.verdict === 'doubt'
        ? whole.reason
        : undefined
      : `${ours.words.slice(0, 2).join(' ')}: ${ours.reason}`;
  if (why === undefined) return { wrap: false, reason: 'nothing in it is for the shims' };
  if (shimsFirst(context)) return { wrap: false, reason: 'the shims are first on PATH already' };
  return { wrap: true, reason: why };
}
