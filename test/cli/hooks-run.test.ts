/** Hooks, the project's variables and the bounds of a transfer, on a worker that is a process here. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { World, type Ended } from '../rig/world.ts';

let world: World;
let project: string;
beforeAll(async () => {
  world = await World.create('[[workers]]\nid = "here"\ntransport = "embedded"\n');
  project = join(world.home, 'app');
  mkdirSync(join(project, '.git'), { recursive: true });
  mkdirSync(join(project, '.rch'));
  writeFileSync(join(project, 'Makefile'), 'out: in\n\tcp in out; echo "made with $(SPEED)"\n');
  writeFileSync(join(project, 'in'), 'old\n');
  await world.start();
  await world.rch(['workers', 'probe', 'here']);
});
afterAll(async () => {
  await world.dispose();
});

/** The daemon knows of both files when this is done. */
async function setUp(file: string, user = '', trusted = true): Promise<void> {
  writeFileSync(join(project, '.rch', 'config.toml'), file);
  world.writeConfig('config.toml', user);
  if (trusted) await world.rch(['trust', project]);
  else
    await world.rch(['trust', project, '--revoke']).catch((thrown: unknown) => {
      // By an earlier run of the same test.
      if (!String(thrown).includes('was not trusted')) throw thrown;
    });
}

function make(env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  rmSync(join(project, 'out'), { force: true });
  return world.run(['make', 'out'], { cwd: project, env: { RCH_FORCE_REMOTE: '1', ...env } });
}

async function newest(): Promise<Record<string, unknown>> {
  const why = JSON.parse(await world.rch(['why', '--json'])) as { record: Record<string, unknown> };
  return why.record;
}

it('carries what pre_transfer wrote, runs post_compile on the results, and gives both their facts', async () => {
  await setUp(`
[project]
name = "The app"
[execution.env]
SPEED = "care"
[hooks]
pre_transfer = 'echo "$RCH_HOOK $RCH_WORKER" > in'
post_compile = 'cp out copied; echo "$RCH_COMMAND $RCH_EXIT $RCH_BYPASS $PWD" > facts; echo noise'
`);
  const ended = await make();
  expect(ended.stdout.toString()).toContain('made with care\n');
  expect(ended.stdout.toString()).not.toContain('noise');
  expect([ended.code, ended.stderr.toString()]).toEqual([0, '']);
  expect(readFileSync(join(project, 'copied'), 'utf8')).toBe('pre_transfer here\n');
  expect(readFileSync(join(project, 'facts'), 'utf8')).toBe(`make out 0 1 ${project}\n`);
  expect(await newest()).toMatchObject({ decision: 'remote', name: 'The app', exit: 0 });
});

it('lets a hook that fails or takes too long change nothing, and reports it', async () => {
  for (const [hooks, user, told] of [
    ["pre_transfer = 'echo broken >&2; exit 3'", '', 'pre_transfer: exit 3: broken'],
    [
      "post_compile = 'sleep 600'",
      '[hooks]\ntimeout_sec = 0.2\n',
      'post_compile: took longer than 0.2 s (hooks.timeout_sec)',
    ],
  ] as const) {
    await setUp(`[hooks]\n${hooks}\n`, user);
    const ended = await make();
    expect([ended.code, ended.stderr.toString()]).toEqual([0, '']);
    expect(ended.stdout.toString()).toContain('made with \n');
    expect((await newest())['hooks']).toEqual([told]);
  }
});

it('survives a command that is longer than the kernel takes for a hook', async () => {
  await setUp("[hooks]\npost_compile = 'printenv RCH_COMMAND | wc -c > long'\n");
  rmSync(join(project, 'out'), { force: true });
  const goals = Array.from({ length: 800 }, () => `${'./'.repeat(100)}out`);
  const ended = await world.run(['make', ...goals], {
    cwd: project,
    env: { RCH_FORCE_REMOTE: '1' },
  });
  expect([ended.code, ended.stderr.toString()]).toEqual([0, '']);
  expect(await newest()).toMatchObject({ decision: 'remote', exit: 0 });
  expect(readFileSync(join(project, 'long'), 'utf8').trim()).toBe(String(64 * 1024 + 1));
});

it('runs nothing of a file that nobody trusts, and says so', async () => {
  await setUp("[hooks]\npost_compile = 'touch ran'\n[execution.env]\nSPEED = 'x'\n", '', false);
  const ended = await make();
  expect(ended.stdout.toString()).toContain('made with \n');
  expect(existsSync(join(project, 'ran'))).toBe(false);
  expect(await world.rch(['status'])).toContain(
    'without effect until rch trust: execution.env, hooks.post_compile',
  );
  expect(await world.rch(['why'])).toContain('wait for `rch trust`');
});

it('runs here when the project is not on the worker in time, with the hook for that', async () => {
  await setUp(
    "[hooks]\npre_transfer = 'sleep 600'\non_fallback = 'echo \"$RCH_REASON\" > .fell; mv .fell fell'\n",
    '[transfer]\ntimeout_sec = 1\n',
  );
  const ended = await make();
  expect(ended.code).toBe(0);
  expect(await newest()).toMatchObject({
    decision: 'local',
    reason: expect.stringContaining(
      'the project was not there after 1 s (transfer.timeout_sec)',
    ) as string,
  });
  // The hook runs beside the command, which is over.
  while (!existsSync(join(project, 'fell'))) await world.rch(['daemon', 'status']);
  expect(readFileSync(join(project, 'fell'), 'utf8')).toContain('transfer.timeout_sec');
});

it('ends with 102 where a command may not fall back, before and after the plan', async () => {
  await setUp(
    "[hooks]\npre_transfer = 'sleep 600'\n",
    '[execution]\nfallback_to_local = false\n[transfer]\ntimeout_sec = 1\n',
  );
  const nobody = await make({ RCH_WORKER: 'nobody' });
  expect(nobody.code).toBe(102);
  expect(nobody.stderr.toString()).toContain(
    'execution.fallback_to_local is off; RCH_LOCAL_ONLY=1 runs it here',
  );
  const late = await make();
  expect(late.code).toBe(102);
  expect(late.stderr.toString()).toContain('transfer.timeout_sec');
  expect((await make({ RCH_LOCAL_ONLY: '1' })).code).toBe(0);
});

it("keeps a project's commands here while its file is broken, and says where it is wrong", async () => {
  await setUp('');
  await setUp('[hooks]\npost_compil = "x"\n', '', false);
  const ended = await make();
  expect(ended.code).toBe(0);
  expect((await newest())['reason']).toContain('config.toml:2:1: hooks.post_compil');
  expect(await world.rch(['status'])).toContain('did you mean "post_compile"?');
});
