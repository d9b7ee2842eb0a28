/** What a terminal shows while much has to go to a worker over a slow way. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noFleet, Relay } from '../rig/fleet.ts';
import { Screen } from '../rig/screen.ts';
import { Scene } from './trouble.ts';

/** Takes away what stands in the line of the cursor (ECMA-48, EL). */
const CLEAR = '\r\u001b[K';
/** An amount of bytes, as src/base/amounts.ts writes it. */
const AMOUNT = String.raw`\d[\d.]* (B|[kMG]B)`;
const MOVED = `${AMOUNT} of ${AMOUNT}, ${AMOUNT}/s`;

let scene: Scene;
let relay: Relay | undefined;

async function rate(bytes: number): Promise<void> {
  await relay?.command({ rate: bytes });
}

/** What a build says on a terminal. */
async function screenOf(folder: string): Promise<string> {
  const screen = Screen.open(scene.world, ['make'], {
    cwd: folder,
    env: { RCH_FORCE_REMOTE: '1' },
  });
  expect(await screen.end(), screen.text).toBe(0);
  expect(await scene.last()).toMatchObject({ decision: 'remote', cwd: folder });
  return screen.text;
}

/** The text that is left when the lines taken away are: what the tool wrote, and a last line of ours. */
const left = (text: string): string => text.split(CLEAR).at(-1) ?? '';

describe.skipIf(noFleet !== undefined)('a terminal before a slow way', () => {
  beforeAll(async () => {
    scene = await Scene.set('progress', async (worker) => {
      relay = await Relay.open(worker);
      // Fast enough for what a worker without Node is brought at first, and slow enough to be seen.
      await rate(25_000_000);
      return { host: '127.0.0.1', port: relay.port };
    });
  }, 900_000);
  afterAll(async () => {
    await scene.leave();
    await relay?.close();
  });

  it('shows how much of Node is on a new worker, and nothing of it once the tool writes', async () => {
    const folder = scene.project('first', { Makefile: 'all:\n\t@echo over\n' });
    const text = await screenOf(folder);
    expect(text).toMatch(new RegExp(`rch: bringing (Node|the agent) to worker1: ${MOVED}`));
    expect(left(text)).toMatch(/^over\r\n/);
  });

  it('shows how much of a tree has gone, and nothing of it once the tool writes', async () => {
    const folder = scene.project('large', { Makefile: 'all:\n\t@wc -c < big\n' });
    writeFileSync(join(folder, 'big'), randomBytes(6_000_000));
    await rate(2_000_000);
    const text = await screenOf(folder);
    expect(text).toMatch(new RegExp(`rch: sending ${folder}: ${MOVED}`));
    expect(left(text)).toMatch(/^6000000\r\n/);
  });
});
