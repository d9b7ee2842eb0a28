/** Our entry in the settings of an agent, as text in and text out: found, put first, taken out. */
import { fail, ok, type Result } from '../../base/result.ts';
import type { Point } from './agents.ts';
import {
  memberOf,
  parseJsonText,
  valueOf,
  withFirstItem,
  withMember,
  without,
  type JsonNode,
} from './json-text.ts';

/** What is installed: the point, and the command that the agent runs. */
export type Entry = { readonly point: Point; readonly command: string };

/** A hook of ours in a list of groups, by its places. */
type Place = { readonly group: number; readonly hook: number; readonly command: string };

type Groups = { readonly root: JsonNode; readonly list: JsonNode | undefined };

const empty = '{}';
const textOf = (text: string): string => (text.trim() === '' ? empty : text);

/** Each event that we have a group in, the one before a command first. */
const eventsOf = ({ event, start }: Point): string[] =>
  start === undefined ? [event] : [event, start];

/** The list of groups of the event; a failure when the file is not laid out as an agent reads it. */
function groupsOf(text: string, event: string): Result<Groups> {
  const parsed = parseJsonText(text);
  if (!parsed.ok) {
    const { reason, line, column } = parsed.flaw;
    return fail(`line ${line}, column ${column}: ${reason}`);
  }
  const root = parsed.value;
  if (root.kind !== 'object') return fail('it is no object');
  const hooks = memberOf(root, 'hooks');
  if (hooks === undefined) return ok({ root, list: undefined });
  if (hooks.kind !== 'object') return fail('"hooks" is no object');
  const list = memberOf(hooks, event);
  if (list === undefined) return ok({ root, list });
  if (list.kind !== 'array') return fail(`"hooks.${event}" is no list`);
  for (const [at, group] of list.items.entries())
    if (memberOf(group, 'hooks')?.kind !== 'array')
      return fail(`"hooks.${event}[${at}].hooks" is no list`);
  return ok({ root, list });
}

/** Whether a command of a hook runs our program, wherever that is. */
const isOurs = (command: string): boolean => /(^|\/)rch-hook'?(\s|$)/.test(command);

function itemsOf(node: JsonNode | undefined): readonly JsonNode[] {
  return node?.kind === 'array' ? node.items : [];
}

function placesIn(list: JsonNode | undefined): Place[] {
  return itemsOf(list).flatMap((group, at) =>
    itemsOf(memberOf(group, 'hooks')).flatMap((hook, number) => {
      const node = memberOf(hook, 'command');
      const command = node?.kind === 'scalar' ? node.value : undefined;
      return typeof command === 'string' && isOurs(command)
        ? [{ group: at, hook: number, command }]
        : [];
    }),
  );
}

/** Takes every hook of ours out, and each group that held nothing else. */
function withoutOurs(text: string, event: string): Result<string> {
  let rest = text;
  for (;;) {
    const groups = groupsOf(rest, event);
    if (!groups.ok) return groups;
    const { list } = groups.value;
    const [place] = placesIn(list);
    if (place === undefined || list === undefined) return ok(rest);
    const hooks = memberOf(itemsOf(list)[place.group] ?? list, 'hooks');
    rest =
      hooks === undefined || itemsOf(hooks).length === 1
        ? without(rest, list, place.group)
        : without(rest, hooks, place.hook);
  }
}

function groupFor({ point, command }: Entry, event: string): unknown {
  const hooks = [{ type: 'command', command, ...point.entry }];
  return event === point.event ? { matcher: point.matcher, hooks } : { hooks };
}

/** The text with our hook before all others of the event; the same text where it stands there already. */
function withGroup(before: string, entry: Entry, event: string): Result<string> {
  const found = groupsOf(textOf(before), event);
  if (!found.ok) return found;
  const group = groupFor(entry, event);
  const first = itemsOf(found.value.list)[0];
  const alone = placesIn(found.value.list).length === 1;
  if (alone && first !== undefined && JSON.stringify(valueOf(first)) === JSON.stringify(group))
    return ok(before);
  const rest = withoutOurs(textOf(before), event);
  if (!rest.ok) return rest;
  const groups = groupsOf(rest.value, event);
  if (!groups.ok) return groups;
  const { root, list } = groups.value;
  if (list !== undefined) return ok(withFirstItem(rest.value, list, group));
  const hooks = memberOf(root, 'hooks');
  if (hooks !== undefined) return ok(withMember(rest.value, hooks, event, [group]));
  return ok(withMember(rest.value, root, 'hooks', { [event]: [group] }));
}

/** The text with our hook before all others of its events; the same text where it stands there already. */
export function withEntry(before: string, entry: Entry): Result<string> {
  return eventsOf(entry.point).reduce<Result<string>>(
    (text, event) => (text.ok ? withGroup(text.value, entry, event) : text),
    ok(before),
  );
}

/** Takes a member out of an object when it holds nothing. */
function withoutEmpty(text: string, path: readonly string[]): string {
  const parsed = parseJsonText(text);
  let node = parsed.ok ? parsed.value : undefined;
  for (const key of path.slice(0, -1)) node = node === undefined ? undefined : memberOf(node, key);
  if (node?.kind !== 'object') return text;
  const index = node.members.findLastIndex((member) => member.key === path.at(-1));
  const value = node.members[index]?.value;
  const held = value?.kind === 'object' ? value.members : itemsOf(value);
  return value === undefined || held.length > 0 ? text : without(text, node, index);
}

/** The text without our hook, and without what would be left empty: but for what stood empty in `before`. */
export function withoutEntry(
  text: string,
  point: Point,
  before: string | undefined,
): Result<string> {
  let left = textOf(text);
  const was = before === undefined ? undefined : parseJsonText(textOf(before));
  const hooks = was?.ok === true ? memberOf(was.value, 'hooks') : undefined;
  for (const event of eventsOf(point)) {
    const rest = withoutOurs(left, event);
    if (!rest.ok) return rest;
    const changed = rest.value !== left;
    left = rest.value;
    if (changed && (hooks === undefined || memberOf(hooks, event) === undefined))
      left = withoutEmpty(left, ['hooks', event]);
  }
  if (left === textOf(text)) return ok(text);
  return ok(hooks === undefined ? withoutEmpty(left, ['hooks']) : left);
}

/** What a settings file says about our hook. */
export type EntryState = {
  /** The command of ours, or null. */
  readonly command: string | null;
  /** It is told of the beginning of sessions too, where the agent tells of them. */
  readonly whole: boolean;
  /** No other hook of the event stands before it. */
  readonly first: boolean;
  /** The file turns all hooks off. */
  readonly disabled: boolean;
  /** Deny and ask rules for shell lines of several commands, which a line that begins otherwise does not match. */
  readonly spanning: readonly string[];
};

function spanningRules(root: JsonNode): string[] {
  const permissions = memberOf(root, 'permissions');
  if (permissions === undefined) return [];
  return ['deny', 'ask']
    .flatMap((list) => itemsOf(memberOf(permissions, list)))
    .map(valueOf)
    .filter((rule) => typeof rule === 'string')
    .filter((rule) => /^Bash\([^)]*(&&|\|\||[;|\n])/.test(rule));
}

export function entryState(text: string, point: Point): Result<EntryState> {
  const places: Place[] = [];
  let whole = true;
  let root: JsonNode | undefined;
  for (const event of eventsOf(point)) {
    const groups = groupsOf(textOf(text), event);
    if (!groups.ok) return groups;
    const found = placesIn(groups.value.list);
    whole &&= found.length > 0;
    places.push(...found);
    ({ root } = groups.value);
  }
  const [place] = places;
  const off = root === undefined ? undefined : memberOf(root, 'disableAllHooks');
  return ok({
    command: place?.command ?? null,
    whole,
    first: place?.group === 0 && place.hook === 0,
    disabled: off?.kind === 'scalar' && off.value === true,
    spanning: root === undefined ? [] : spanningRules(root),
  });
}
