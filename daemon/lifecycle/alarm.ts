/**
 * Whether too much of what should go to workers does not, or is lost there: a state over a window of the last ends,
 * raised at one bound and over at a lower one, so that it does not flicker. Pure.
 */

/** ms that an end counts. */
export const ALARM_WINDOW = 600_000;
/** Ends remembered at most. */
const MOST = 500;
/** Commands that ran here and should not have, from which on it is worth a word, and their part of all such commands. */
const LEAST_FALLBACKS = 4;
const RAISED_PART = 0.5;
const OVER_PART = 0.25;
/** Runs lost on workers from which on it is worth a word. */
const LEAST_LOST = 2;

/** What became of a command that should have gone to a worker. */
export type Fate = 'there' | 'here' | 'lost';
export type AlarmKind = 'fallbacks' | 'losses';

type End = { readonly at: number; readonly fate: Fate; readonly reason: string };
type Raised = { readonly since: number; readonly said: boolean };

export type Alarms = {
  readonly ends: readonly End[];
  readonly raised: Readonly<Partial<Record<AlarmKind, Raised>>>;
};

export const quiet: Alarms = { ends: [], raised: {} };

const count = (ends: readonly End[], fate: Fate): number =>
  ends.filter((end) => end.fate === fate).length;

function holds(kind: AlarmKind, ends: readonly End[], raised: boolean): boolean {
  if (kind === 'losses') return count(ends, 'lost') >= (raised ? 1 : LEAST_LOST);
  const here = count(ends, 'here');
  if (raised) return here > 0 && here >= ends.length * OVER_PART;
  return here >= LEAST_FALLBACKS && here >= ends.length * RAISED_PART;
}

/** The state at a later time, ms. */
export function alarmsAt({ ends, raised }: Alarms, now: number): Alarms {
  const fresh = ends.filter((end) => now - end.at < ALARM_WINDOW);
  const still = (kind: AlarmKind): Alarms['raised'] => {
    const before = raised[kind];
    if (!holds(kind, fresh, before !== undefined)) return {};
    return { [kind]: before ?? { since: now, said: false } };
  };
  return { ends: fresh, raised: { ...still('fallbacks'), ...still('losses') } };
}

/** A command that should have gone to a worker has come to this. */
export function fared(alarms: Alarms, end: End): Alarms {
  return alarmsAt({ ...alarms, ends: [...alarms.ends, end].slice(-MOST) }, end.at);
}

/** What is raised, in words. */
export function alarmTexts({ ends, raised }: Alarms): { kind: AlarmKind; text: string }[] {
  const last = (fate: Fate): string => ends.findLast((end) => end.fate === fate)?.reason ?? '';
  const minutes = ALARM_WINDOW / 60_000;
  const here = count(ends, 'here');
  const lost = count(ends, 'lost');
  return [
    ...(raised.fallbacks === undefined
      ? []
      : [
          {
            kind: 'fallbacks' as const,
            text: `${here} of ${ends.length} commands for workers ran here in the last ${minutes} minutes: ${last('here')}`,
          },
        ]),
    ...(raised.losses === undefined
      ? []
      : [
          {
            kind: 'losses' as const,
            text: `${lost} ${lost === 1 ? 'run was' : 'runs were'} lost on workers in the last ${minutes} minutes: ${last('lost')}`,
          },
        ]),
  ];
}

/** The kinds that nobody was told of yet, and the state in which somebody was. */
export function unsaid(alarms: Alarms): { kinds: readonly AlarmKind[]; said: Alarms } {
  const kinds = (['fallbacks', 'losses'] as const).filter(
    (kind) => alarms.raised[kind]?.said === false,
  );
  const raised = { ...alarms.raised };
  for (const kind of kinds) {
    const each = raised[kind];
    if (each !== undefined) raised[kind] = { ...each, said: true };
  }
  return { kinds, said: { ...alarms, raised } };
}
