/**
 * The cases of the self-test, by the command itself. Usually a third of them (RCH_TEST_PART=1/3 and so on, else by the
 * commit), each once, divided among an embedded worker and one behind sshd; all of them with all kinds of streams on both
 * where RCH_TEST_ALL is set (scripts/test --all).
 */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Line } from '../cli/rig.ts';
import { Fleet, noFleet } from '../rig/fleet.ts';

const all = process.env['RCH_TEST_ALL'] === '1';
const LONGEST = all ? 4 * 3600_000 : 1_800_000;

const found = z.object({
  cases: z.number(),
  runs: z.number(),
  remote: z.number(),
  shares: z.array(z.object({ set: z.string(), enough: z.boolean() })),
  faults: z.array(z.unknown()),
  refused: z.array(z.object({ case: z.string(), reason: z.string() })),
  skipped: z.array(z.object({ what: z.string(), why: z.string() })),
});

/** Debian's mirrors have the newest python alone: where this machine's is older, its headers differ, and it stays here. */
function refusedOf<T extends { readonly reason: string }>(refused: readonly T[]): T[] {
  return refused.filter(({ reason }) => !/ package libpython3\S* is \S+ there/.test(reason));
}

/** Runs `rch self-test`; whatever it has against the worker fails the test, word for word. */
async function conform(line: Line, args: readonly string[]): Promise<z.infer<typeof found>> {
  const said = await line.say(['self-test', '--json', ...args]);
  expect(said.out, said.err).not.toBe('');
  const facts = found.parse(JSON.parse(said.out));
  const short = facts.shares.filter((share) => !share.enough);
  // In the words of an error, which a report shows whole.
  const wrong = [...facts.faults, ...refusedOf(facts.refused), ...short].map((each) =>
    JSON.stringify(each),
  );
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  expect(facts.remote).toBeGreaterThan(facts.runs / 2);
  expect(said.code).toBe(0);
  return facts;
}
/** One part of the cases, which one by the state of the repository: what fails is found again. */
function part(): string {
  const told = process.env['RCH_TEST_PART'];
  if (told !== undefined) return told;
  const head = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: import.meta.dirname });
  return `${(Number.parseInt(head.toString().slice(0, 2), 16) % 3) + 1}/3`;
}
/** The package of python's headers where this machine has it: a case compiles an extension against them. */
function pythonHere(): string[] {
  return readdirSync('/usr/include').some((name) => name.startsWith('python3.'))
    ? ['libpython3-dev']
    : [];
}
const extent = all ? ['--full'] : ['--quick', '--part', part()];
const tools = (...names: string[]): string[] => (all ? [] : ['--tool', ...names]);

describe('commands cannot tell where they ran', { concurrent: true }, () => {
  let embedded: Line;
  beforeAll(async () => {
    embedded = await Line.create('');
  });
  afterAll(async () => {
    await embedded.world.dispose();
  });

  it(
    'on an embedded worker',
    async () => {
      const args = [...extent, ...tools('clang', 'clang++', 'rustc', 'cargo', 'meson')];
      const facts = await conform(embedded, [...args, '--lanes', '1']);
      expect(facts.cases).toBeGreaterThan(all ? 400 : 45);
    },
    LONGEST,
  );
});

describe.skipIf(noFleet !== undefined)(
  'commands cannot tell that a network was there',
  { concurrent: true },
  () => {
    let fleet: Fleet;
    let remote: Line;
    beforeAll(async () => {
      const packages = [...(all ? ['clang', 'llvm'] : []), ...pythonHere()];
      fleet = await Fleet.up('conform', 1, { packages });
      remote = await Line.create(fleet.workersToml());
      remote.world.writeConfig('known_hosts', fleet.knownHosts());
    }, 900_000);
    afterAll(async () => {
      await remote.world.dispose();
      await fleet.release();
    });

    it(
      'on a worker behind sshd',
      async () => {
        const args = [...extent, ...tools('gcc', 'g++', 'make', 'ninja', 'cmake')];
        const facts = await conform(remote, [...args, '--worker', 'worker1', '--lanes', '1']);
        expect(facts.cases).toBeGreaterThan(all ? 400 : 45);
      },
      LONGEST,
    );
  },
);
