import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findProgram } from '../../daemon/plan/path-search.ts';
import type { ExplainedLine } from '../../src/cli/render/line.ts';
import { Line } from './rig.ts';

let line: Line;
let project: string;
beforeAll(async () => {
  line = await Line.create('[[workers]]\nid = "e"\ntransport = "embedded"\n');
  project = join(line.world.home, 'project');
  mkdirSync(join(project, '.rch'), { recursive: true });
  writeFileSync(join(project, 'Makefile'), 'all docs:\n\ttrue\n');
  writeFileSync(join(project, '.rch', 'config.toml'), '[classify]\nexclude = ["make docs"]\n');
});
afterAll(async () => {
  await line.world.dispose();
});

it('rch why LINE shows each tier with its time, for each command, and where a shim would run it', async () => {
  const said = await line.say(['why', 'make 2>&1 | tee log'], {}, project);
  expect(said).toMatchObject({ code: 0, err: '' });
  expect(said.out).toMatch(/^for the shims: make: make, confidence 0\.85/);
  expect(said.out).toMatch(/tier 1 +structure +\d+ µs +pass +2 simple commands, with a pipeline/);
  expect(said.out).toMatch(/\nmake 2>&1\n/);
  expect(said.out).toMatch(/tier 4 +classification +\d+ µs +candidate/);
  expect(said.out).toMatch(/would run (here|on e): ./);
  expect(said.out).toMatch(/\ntee log\n +tier 0 +instant reject +\d+ µs +here +tee shows files/);
});

it('rch why -- WORDS takes a command in words, and a project’s exclusions are honoured', async () => {
  const said = await line.say(['why', '--json', '--', 'make', '-j2', 'docs'], {}, project);
  const facts = JSON.parse(said.out) as ExplainedLine;
  expect(facts).toMatchObject({
    line: 'make -j2 docs',
    wrap: false,
    commands: [
      { verdict: 'here', reason: 'classify.exclude keeps make docs here', decision: null },
    ],
  });
});

it('a shim keeps here what the project excludes, or what is less sure than its threshold', async () => {
  const { world } = line;
  const here = async (args: readonly string[], cwd: string): Promise<string | undefined> => {
    expect(await world.run(['make', ...args], { cwd })).toMatchObject({ code: 0 });
    return (await world.history(1))[0]?.reason;
  };
  expect(await here(['docs'], project)).toBe('classify.exclude keeps make docs here');
  const strict = join(world.home, 'strict');
  mkdirSync(join(strict, '.rch'), { recursive: true });
  writeFileSync(join(strict, 'Makefile'), 'all:\n\ttrue\n');
  writeFileSync(join(strict, '.rch', 'config.toml'), '[classify]\nconfidence_threshold = 0.9\n');
  expect(await here([], strict)).toBe('confidence 0.85 is below the threshold 0.90');
});

it.skipIf(findProgram('cargo', process.env['PATH'] ?? '') === undefined)(
  'rch why runs nothing of a cloned project, whose build then runs what it says here',
  async () => {
    const cloned = join(line.world.home, 'cloned');
    for (const folder of ['.cargo', 'src']) mkdirSync(join(cloned, folder), { recursive: true });
    writeFileSync(join(cloned, 'Cargo.toml'), '[package]\nname = "cloned"\nversion = "0.1.0"\n');
    writeFileSync(join(cloned, 'src', 'main.rs'), 'fn main() {}\n');
    writeFileSync(join(cloned, '.cargo', 'config.toml'), '[build]\nrustc = "./mark.sh"\n');
    writeFileSync(join(cloned, 'mark.sh'), `#!/bin/sh\n: >'${cloned}/mark'\nexec rustc "$@"\n`, {
      mode: 0o755,
    });
    const said = await line.say(['why', 'cargo build'], {}, cloned);
    expect(said.out).toMatch(/would run here: .*config\.toml sets build\.rustc/);
    expect(existsSync(join(cloned, 'mark'))).toBe(false);
    const built = await line.world.run(['cargo', 'build', '--offline'], { cwd: cloned });
    expect(built.code, built.stderr.toString()).toBe(0);
    expect((await line.world.history(1))[0]).toMatchObject({ decision: 'local' });
    expect(existsSync(join(cloned, 'mark'))).toBe(true);
    rmSync(cloned, { recursive: true });
  },
);
