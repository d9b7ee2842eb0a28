import { expect, test } from 'vitest';
import { Reunion } from '../../../daemon/link/reunion.ts';

test('who gives up waits no more, then and later, for an agent that is away', async () => {
  const reunion = new Reunion(60_000);
  const waiting = reunion.wait(() => false);
  reunion.giveUp();
  expect(await waiting).toBe(false);
  expect(await reunion.wait(() => false)).toBe(false);
  expect(await reunion.wait(() => true)).toBe(true);
});
