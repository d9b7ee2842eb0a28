import { expect, test } from 'vitest';
import type { Asked } from '../../../daemon/front/asked.ts';
import type { Look } from '../../../daemon/front/decision.ts';
import type { Fleet } from '../../../daemon/front/fleet.ts';
import { Looks } from '../../../daemon/front/looks.ts';
import { ExperienceBook } from '../../../daemon/select/experience.ts';
import type { PlannedRoot } from '../../../src/protocol/ipc.ts';

const root = {
  path: '/p',
  policy: 'project',
  skip: [],
  only: [],
  cold: [],
} as unknown as PlannedRoot;

/** Workers that tell of each look under the next number, and what they were asked. */
function fleetOf(...ids: readonly string[]) {
  const asked: string[] = [];
  const state = { kind: 'connected' };
  const workers = ids.map((id) => ({
    id,
    state,
    requests: {
      look: ({ path }: PlannedRoot, last: string) => {
        asked.push(`${id} ${path} ${last}`);
        const look = `look:${asked.length}`;
        return Promise.resolve({
          ok: true,
          value: { look, put: [], links: [], gone: [], whole: false, since: 0 },
        });
      },
    },
  }));
  const fleet = { all: () => workers } as unknown as Fleet;
  return { looks: new Looks({ fleet, experience: new ExperienceBook() }), asked, state };
}

const command = (cwd: string, worker?: string): Asked =>
  ({ request: { cwd }, candidate: { command: 'make' }, caller: { worker } }) as unknown as Asked;

async function plan(looks: Looks, asked: Asked, last: string): Promise<readonly Look[]> {
  const foreseen = looks.foresee(asked);
  const made: Look[] = [];
  await looks.at(asked, { root, last }, { looks: made, foreseen });
  return made;
}

test('the look that a plan asks for begins before it, from the second command in a folder on', async () => {
  const { looks, asked } = fleetOf('a');
  expect(looks.foresee(command('/p'))).toBeUndefined();
  expect(await plan(looks, command('/p'), '')).toEqual([{ worker: 'a', name: 'look:1' }]);
  expect(await plan(looks, command('/p'), 'look:1')).toEqual([{ worker: 'a', name: 'look:2' }]);
  expect(asked).toEqual(['a /p ', 'a /p look:1']);
  // Of another folder nothing is foreseen; its look goes on from the same ones.
  expect(looks.foresee(command('/p/below'))).toBeUndefined();
});

test('one that was foreseen wrongly is not taken', async () => {
  const { looks, asked } = fleetOf('a');
  await plan(looks, command('/p'), '');
  // The plan has forgotten the earlier look, and wants to be told everything.
  expect(await plan(looks, command('/p'), '')).toEqual([{ worker: 'a', name: 'look:3' }]);
  expect(asked).toEqual(['a /p ', 'a /p look:1', 'a /p ']);
});

test('the worker that is asked for by name looks, and one that is away does not', async () => {
  const { looks, asked, state } = fleetOf('a', 'b');
  expect(await plan(looks, command('/p', 'b'), '')).toEqual([{ worker: 'b', name: 'look:1' }]);
  state.kind = 'unreachable';
  expect(looks.foresee(command('/p'))).toBeUndefined();
  expect(await plan(looks, command('/p'), 'look:1')).toEqual([]);
  expect(asked).toEqual(['b /p ']);
});
