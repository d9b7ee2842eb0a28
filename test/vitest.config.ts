/**
 * The projects of the suite: `unit` needs nothing but a build, `shims` compiles the native programs with
 * sanitizers, `e2e` brings up the fleet of real workers (root only).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer } from 'vitest/node';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const shims = 'test/shims/**/*.test.ts';

/** What an account or a CI sets to change what tools print and how they build: each test sets what it is about. */
const habits =
  /^(CI|(FORCE|NO)_COLOR|CLICOLOR(_FORCE)?|COLORTERM|GCC_(COLORS|URLS)|NINJA_STATUS|(C|CXX|CPP|LD)FLAGS|CC|CXX|MAKE(FLAGS|LEVEL)|MFLAGS|GNUMAKEFLAGS|RUST(FLAGS|DOCFLAGS|C_WRAPPER)|CARGO_(TERM|BUILD|PROFILE|INCREMENTAL|ENCODED|TARGET).*|RCH_(?!TEST_|FLEET|FUZZ_).*)$/;
for (const name of Object.keys(process.env))
  if (habits.test(name)) Reflect.deleteProperty(process.env, name);

/** Whatever drives the fleet of test/rig/fleet.ts or scripts/fleet, or installs; paths relative to the top. */
function fleetTests(): string[] {
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test', name))
    .filter(
      (name) =>
        /^test\/(e2e|install)\//.test(name) ||
        /rig\/fleet\.ts|scripts.{1,4}fleet/.test(readFileSync(join(root, name), 'utf8')),
    );
}
const e2e = fleetTests();

const common = {
  pool: 'forks',
  // Half as many again as cores: much of a test is waiting for processes, connections and deadlines.
  maxWorkers: Math.min(4, Math.max(2, Math.ceil(availableParallelism() * 1.5))),
  // No test is to prove by these how fast something is: they end what hangs, on whatever machine.
  testTimeout: 180_000,
  hookTimeout: 300_000,
  restoreMocks: true,
  // What is asked again and again may take as long as a loaded machine needs; what is wrong stays so.
  expect: { poll: { timeout: 50_000, interval: 50 } },
} as const;
/**
 * Real processes on a loaded machine may fail by chance: scripts/test runs such a file a second time, in a world of its own
 * (rig/again.ts). What compares builds, or searches, is right the first time or wrong.
 */
const decisive = { name: 'decisive', description: 'What failed once has failed.' } as const;
/** Set by scripts/test: where the report in JSON goes. */
const report = process.env['RCH_TEST_REPORT'];
const leaks = 'test/rig/leaks.ts';

/** Files that take minutes, longest first: begun last, one of them would run alone at the end. */
const long = [
  'real-projects',
  'conformance',
  'alternation',
  'interruption',
  'chaos',
  'trouble',
  'setup',
  'install',
  'resume',
  'link-death',
  'storm',
  'run',
];

class LongestFirst extends BaseSequencer {
  override async sort(
    ...[files]: Parameters<BaseSequencer['sort']>
  ): ReturnType<BaseSequencer['sort']> {
    const rank = (path: string): number => {
      const at = long.findIndex((name) => path.endsWith(`/${name}.test.ts`));
      return at < 0 ? long.length : at;
    };
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rank(a.moduleId) - rank(b.moduleId));
  }
}

export default defineConfig({
  root,
  test: {
    sequence: { sequencer: LongestFirst },
    // More than the search for what is left takes (rig/leaks.ts).
    teardownTimeout: 150_000,
    tags: [decisive],
    reporters: ['default', './test/rig/again.ts', ...(report === undefined ? [] : ['json'])],
    ...(report === undefined ? {} : { outputFile: { json: report } }),
    projects: [
      {
        root,
        test: {
          ...common,
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [shims, ...e2e],
          globalSetup: [leaks],
        },
      },
      { root, test: { ...common, name: 'shims', include: [shims], globalSetup: [leaks] } },
      {
        root,
        test: {
          ...common,
          name: 'e2e',
          include: e2e,
          testTimeout: 600_000,
          hookTimeout: 900_000,
          globalSetup: [leaks],
        },
      },
    ],
  },
});
