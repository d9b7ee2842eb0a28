import { expect, it } from 'vitest';
import { holdBack } from '../../../daemon/link/hold-back.ts';

it('a stream stands still until all that came on it is done, in whatever order it is', async () => {
  const said: string[] = [];
  const note = (word: string) => (): never => {
    said.push(word);
    return undefined as never;
  };
  const hold = holdBack({ pause: note('pause'), resume: note('resume') });
  const ends: (() => void)[] = [];
  for (let work = 0; work < 3; work++)
    hold(
      new Promise((resolve) => {
        ends.push(resolve);
      }),
    );
  for (const end of [ends[1], ends[0]]) {
    end?.();
    await new Promise(setImmediate);
    expect(said).not.toContain('resume');
  }
  ends[2]?.();
  await new Promise(setImmediate);
  expect(said).toEqual(['pause', 'pause', 'pause', 'resume']);
});
