/** A worker that a cluster's scheduler gives: srun places the agent in an allocation of Slurm. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noSlurm, Slurm } from '../rig/slurm.ts';
import { World } from '../rig/world.ts';
import { makeProject, write } from './projects.ts';
import { until, within, words } from './trouble.ts';

let slurm: Slurm;
let world: World;
let base: string;
let allocation: string;

/** Agents of this world's home, with the environment that they were started in. */
function agents(): string[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const argv = readFileSync(`/proc/${name}/cmdline`, 'latin1').split('\0');
      const ours = argv.includes('serve') && argv.some((word) => word.startsWith(`${world.home}/`));
      const [program] = argv;
      const isAgent = ours && program?.endsWith('srun') === false;
      return isAgent ? [readFileSync(`/proc/${name}/environ`, 'latin1')] : [];
    } catch {
      return [];
    }
  });
}

describe.skipIf(noSlurm !== undefined)('a worker in a cluster of Slurm', () => {
  beforeAll(async () => {
    slurm = await Slurm.up();
    await slurm.say('salloc', '--no-shell', '--job-name=rch', '--ntasks=1', '--cpus-per-task=2');
    allocation = await slurm.say('squeue', '--noheader', '--name=rch', '--format=%i');
    const srun = ['srun', `--jobid=${allocation}`, '--overlap', '--ntasks=1', '--unbuffered'];
    const command = JSON.stringify(['env', `SLURM_CONF=${slurm.conf}`, ...srun, '--quiet']);
    world = await World.create(
      `[[workers]]\nid = "slurm"\ntransport = "command"\ncommand = ${command}\ntotal_slots = 2\n`,
    );
    base = mkdtempSync(join(tmpdir(), 'rch-slurm-p-'));
    await world.start();
  });
  afterAll(async () => {
    await world.dispose();
    await slurm.down();
    rmSync(base, { recursive: true, force: true });
  });

  it('builds there, and the files are those of a build here', async () => {
    write(base, makeProject);
    const env = { RCH_FORCE_REMOTE: '1' };
    const ended = await within(world.run(['make', '-j2'], { cwd: base, env }));
    expect(ended.code, words(ended)).toBe(0);
    const [row] = await world.history(1);
    expect(row, row?.reason).toMatchObject({ decision: 'remote', worker: 'slurm', exit: 0 });
    execFileSync('make', ['-q'], { cwd: base });
  });

  it('has its agent in a step of its own in the allocation, which outlives every stream to it', async () => {
    await expect.poll(agents).toHaveLength(1);
    expect(agents()[0]).toContain(`SLURM_JOB_ID=${allocation}\0`);
    await world.rch(['daemon', 'stop']);
    await until(
      async () =>
        (await slurm.say('squeue', '-h', '-s', '-j', allocation)).split('\n').length === 1,
      'were the streams gone',
    );
    await expect.poll(agents).toHaveLength(1);
    await world.rch(['daemon', 'start']);
    write(base, { 'main.c': 'int main(void) { return 3; }\n' });
    const env = { RCH_FORCE_REMOTE: '1' };
    const ended = await within(world.run(['make'], { cwd: base, env }));
    expect(ended.code, words(ended)).toBe(0);
    expect((await world.history(1))[0]).toMatchObject({ decision: 'remote', worker: 'slurm' });
  });

  it('ends with its allocation: the command runs here then', async () => {
    await slurm.say('scancel', allocation);
    await until(() => Promise.resolve(agents().length === 0), 'was the agent gone');
    rmSync(join(base, 'hello'));
    const ended = await within(world.run(['make'], { cwd: base }));
    expect(ended.code, words(ended)).toBe(0);
    expect((await world.history(1))[0]).toMatchObject({ decision: 'local' });
  });
});
