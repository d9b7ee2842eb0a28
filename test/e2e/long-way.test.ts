/** A worker that is far away: contents go over several channels at once, and arrive whole whatever becomes of these. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noFleet, Relay } from '../rig/fleet.ts';
import { Scene, until, within, words } from './trouble.ts';

/** ms each way. */
const DELAY = 30;
const PARTS = 6;
const BYTES = 3_000_000;
/** By its greeting alone a stream is not woken so often. */
const USED = 5;

let scene: Scene;
let relay: Relay;

const sum = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

/** Says the sums of what came, and makes as much anew. */
const Makefile = `all:
\t@sha256sum sent/*; mkdir made
\t@for i in $$(seq ${PARTS}); do head -c ${BYTES} /dev/urandom > made/$$i; done
\t@head -c ${PARTS * BYTES} /dev/urandom > made/large; sha256sum made/* > sums
`;

/** A project with sources that nobody has seen; its sums as sha256sum says them. */
function project(name: string): { folder: string; sums: string } {
  const folder = scene.project(name, { Makefile });
  mkdirSync(join(folder, 'sent'));
  const all = [...Array.from({ length: PARTS }, (_, at) => [`${at}`, BYTES] as const)];
  const sums = [...all, ['large', PARTS * BYTES] as const].map(([part, bytes]) => {
    const data = randomBytes(bytes);
    writeFileSync(join(folder, 'sent', part), data);
    return `${sum(data)}  sent/${part}\n`;
  });
  return { folder, sums: sums.join('') };
}

function expectMade(folder: string): void {
  const made = readFileSync(join(folder, 'sums'), 'utf8').trimEnd().split('\n');
  expect(made).toHaveLength(PARTS + 1);
  for (const line of made) {
    const [wanted, name = ''] = line.split(/\s+/);
    expect(sum(readFileSync(join(folder, name))), name).toBe(wanted);
  }
}

/** How often each stream to the agent there was woken to carry something, by process: each way has one of its own. */
async function woken(): Promise<Map<string, number>> {
  const script =
    'for p in /proc/[0-9]*; do tr "\\0" " " < $p/cmdline | grep -q "rch-run [a]ttach" && grep -E "^(Pid|voluntary)" $p/status; done; true';
  const said = await scene.fleet.inside(scene.worker, 'sh', '-c', script);
  const each = said.matchAll(/^Pid:\s+(\d+)\nvoluntary_ctxt_switches:\s+(\d+)/gm);
  return new Map([...each].map(([, pid = '', times]) => [pid, Number(times)]));
}

/** Waits for so many streams, and none of those before. */
async function streams(
  count: number,
  before: ReadonlyMap<string, number> = new Map(),
): Promise<void> {
  const stand = async (): Promise<boolean> => {
    const pids = [...(await woken()).keys()];
    return pids.length === 2 * count && !pids.some((pid) => before.has(pid));
  };
  await until(stand, `were there ${count} streams`);
}

describe.skipIf(noFleet !== undefined)('a worker that is far away', () => {
  beforeAll(async () => {
    scene = await Scene.set('long-way', async (worker) => {
      relay = await Relay.open(worker);
      return { host: '127.0.0.1', port: relay.port };
    });
    await scene.buildsThere(scene.project('warm'));
  }, 900_000);
  afterAll(async () => {
    await scene.leave();
    await relay.close();
  });

  it('has one stream for contents as long as it is near', async () => {
    await streams(2);
  });

  it('has four from then on, and all of them carry contents, there and back', async () => {
    const near = await woken();
    await relay.command({ delay: DELAY, cut: true });
    await within(scene.world.rch(['workers', 'probe', 'worker1']));
    await streams(5, near);
    const before = await woken();
    const { folder, sums } = project('whole');
    const { ended, row } = await scene.build(folder);
    expect(ended.code, words(ended)).toBe(0);
    expect(ended.stdout.toString()).toBe(sums);
    expect(row).toMatchObject({ decision: 'remote', exit: 0 });
    expectMade(folder);
    const since = [...(await woken())].map(([pid, times]) => times - (before.get(pid) ?? 0));
    expect(Math.min(...since), since.join(' ')).toBeGreaterThan(USED);
  });

  it('brings them whole when the way is cut in the middle of the return', async () => {
    const { folder, sums } = project('cut');
    const before = await relay.command({});
    const build = scene.build(folder);
    await until(
      async () => (await relay.command({})).sent > before.sent + 2 * PARTS * BYTES,
      'were they sent',
    );
    await relay.command({ cutAfter: PARTS * BYTES });
    const { ended, row } = await build;
    expect(ended.code, words(ended)).toBe(0);
    expect(ended.stdout.toString()).toBe(sums);
    expect(row).toMatchObject({ decision: 'remote', exit: 0 });
    expectMade(folder);
    expect((await relay.command({})).accepted).toBeGreaterThan(before.accepted);
  });

  it('builds right when it is cut in the middle of the way there', async () => {
    await within(scene.world.rch(['workers', 'probe', 'worker1']));
    await streams(5);
    const { folder, sums } = project('cut-there');
    const before = await relay.command({});
    const build = scene.build(folder);
    await until(
      async () => (await relay.command({})).sent > before.sent + PARTS * BYTES,
      'was it in the middle',
    );
    await relay.command({ cut: true });
    const { ended } = await build;
    expect(ended.code, words(ended)).toBe(0);
    expect(ended.stdout.toString()).toBe(sums);
    expectMade(folder);
  });
});
