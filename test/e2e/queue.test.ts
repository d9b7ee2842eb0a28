/** Waiting in line and being cancelled, from the command line to the processes on the worker. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ended, World, type Ended } from '../rig/world.ts';
import { write } from './projects.ts';

const mark = `rch-queue-${process.pid}`;
const makefile = `SHELL = /bin/bash
long:
\t@echo on; exec -a ${mark} sleep 1000
deaf:
\t@trap '' INT; echo on; (exec -a ${mark} setsid sleep 1000) & exec -a ${mark} sleep 1000
`;

type Waiting = { readonly id: string; readonly caller: string; readonly place: number };

let world: World;
let base: string;
beforeAll(async () => {
  const toml = '[[workers]]\nid = "embedded"\ntransport = "embedded"\ntotal_slots = 1\n';
  world = await World.create(toml);
  base = realpathSync(mkdtempSync(join(tmpdir(), 'rch-line-')));
  await world.start();
});
afterAll(async () => {
  await world.dispose();
  rmSync(base, { recursive: true, force: true });
});

/** Starts a make there, in a project of its own. */
function start(target: string, name: string): { child: ChildProcess; end: Promise<Ended> } {
  const cwd = join(base, name);
  mkdirSync(cwd);
  write(cwd, { Makefile: makefile });
  const env = { RCH_FORCE_REMOTE: '1', RCH_CALLER: name };
  const child = world.spawn(['make', target], { cwd, env });
  child.stdin?.end();
  return { child, end: ended(child) };
}

/** Processes of the job, wherever they are. */
function alive(): number {
  return readdirSync('/proc').filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith(mark);
    } catch {
      return false;
    }
  }).length;
}

async function line(length: number): Promise<Waiting[]> {
  let waiting: Waiting[] = [];
  await expect
    .poll(
      async () => {
        waiting = JSON.parse(await world.rch(['queue', '--json'])) as Waiting[];
        return waiting.length;
      },
      { timeout: 60_000 },
    )
    .toBe(length);
  return waiting;
}

describe('a command in line', () => {
  it('is shown with its place, and is cancelled there and where it runs', async () => {
    const first = start('long', 'first');
    if (first.child.stdout !== null) await once(first.child.stdout, 'data');
    const second = start('long', 'second');
    const [waiting] = await line(1);
    expect(waiting).toMatchObject({ caller: 'second', place: 1 });
    expect(await world.rch(['queue'])).toMatch(
      /^PLACE +JOB +CALLER.*\n1 +\w{8} +second +normal +embedded/,
    );
    const active = await world.rch(['status', '--jobs']);
    expect(active).toMatch(/\n\w{8} +embedded +running +1 .* first +make long/);

    expect(await world.rch(['cancel', waiting?.id.slice(0, 8) ?? ''])).toMatch(
      /^cancelled \w{8} \(in line\): make long\n$/,
    );
    expect(await second.end).toMatchObject({ code: null, signal: 'SIGINT' });
    await line(0);
    await expect.poll(alive).toBe(1);

    const [row] = (await world.history(2)).filter(({ worker }) => worker === 'embedded');
    expect(await world.rch(['cancel', row?.id.slice(0, 8) ?? ''])).toContain('(on embedded)');
    const end = await first.end;
    // make itself exits with 2 instead, one time in ten, when it hears of its child's end first.
    expect<unknown[]>(['SIGINT', 2]).toContain(end.signal ?? end.code);
    expect(end.stdout.toString()).toBe('on\n');
    await expect.poll(alive).toBe(0);
  });

  it('ends whole on the worker, also where it does not hear an interrupt', async () => {
    const deaf = start('deaf', 'deaf');
    if (deaf.child.stdout !== null) await once(deaf.child.stdout, 'data');
    expect(await world.rch(['cancel', '--all'])).toContain('make deaf');
    expect(await deaf.end).toMatchObject({ code: null, signal: 'SIGINT' });
    await expect.poll(alive).toBe(0);
    const [row] = await world.history(1);
    expect(row).toMatchObject({ signal: 2, reason: 'cancelled (rch cancel)' });
    expect(await world.rch(['cancel', '--all'])).toBe('nothing waits or runs\n');
  });

  it('is not cancelled by a command line that does not say which', async () => {
    await expect(world.rch(['cancel'])).rejects.toThrow('name one job, or say --all');
    await expect(world.rch(['cancel', 'fedcba'])).rejects.toThrow('no command that waits or runs');
  });
});
