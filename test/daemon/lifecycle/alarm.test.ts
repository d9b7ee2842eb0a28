import { expect, it } from 'vitest';
import {
  ALARM_WINDOW,
  alarmsAt,
  alarmTexts,
  fared,
  quiet,
  unsaid,
  type Alarms,
  type Fate,
} from '../../../daemon/lifecycle/alarm.ts';

/** Ends a second apart, from `from` on. */
function after(before: Alarms, fates: readonly Fate[], from = 0): Alarms {
  return fates.reduce(
    (alarms, fate, at) => fared(alarms, { at: from + at * 1000, fate, reason: `why ${at}` }),
    before,
  );
}
const kinds = (alarms: Alarms): string[] => alarmTexts(alarms).map(({ kind }) => kind);

it('says nothing while few commands run here that should not', () => {
  expect(kinds(after(quiet, ['here', 'here', 'here']))).toEqual([]);
  expect(
    kinds(after(quiet, [...Array<Fate>(9).fill('there'), ...Array<Fate>(4).fill('here')])),
  ).toEqual([]);
});

it('is raised when half of them do, is said once, and is over when most go again', () => {
  const raised = after(quiet, ['there', 'here', 'here', 'here', 'here']);
  expect(alarmTexts(raised)).toEqual([
    {
      kind: 'fallbacks',
      text: '4 of 5 commands for workers ran here in the last 10 minutes: why 4',
    },
  ]);
  const { kinds: first, said } = unsaid(raised);
  expect(first).toEqual(['fallbacks']);
  expect(unsaid(said).kinds).toEqual([]);
  const still = after(said, Array<Fate>(6).fill('there'), 10_000);
  expect(kinds(still)).toEqual(['fallbacks']);
  const over = after(still, Array<Fate>(8).fill('there'), 20_000);
  expect(kinds(over)).toEqual([]);
  const again = after(over, Array<Fate>(20).fill('here'), 30_000);
  expect(unsaid(again).kinds).toEqual(['fallbacks']);
});

it('is raised by two lost runs, and forgets after a while', () => {
  const lost = after(quiet, ['there', 'lost', 'there', 'lost']);
  expect(alarmTexts(lost)).toEqual([
    { kind: 'losses', text: '2 runs were lost on workers in the last 10 minutes: why 3' },
  ]);
  expect(kinds(alarmsAt(lost, ALARM_WINDOW + 2000))).toEqual(['losses']);
  expect(kinds(alarmsAt(lost, ALARM_WINDOW + 4000))).toEqual([]);
});
