/** `rch top` in a real terminal, over a build on a worker. */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { top as folder } from '../../shims/build.ts';
import { Gate, toolText, type Tool } from '../../rig/gate.ts';
import { Tmux, type Size } from '../../rig/tmux.ts';
import { ended, World, type Ended } from '../../rig/world.ts';

const PATIENCE = { timeout: 60_000, interval: 50 };
const small: Size = { columns: 80, rows: 24 };

let world: World;
let gate: Gate;
let project: string;
let tool: Tool | undefined;
let build: Promise<Ended>;
beforeAll(async () => {
  world = await World.create('[[workers]]\nid = "near"\ntransport = "embedded"\ntotal_slots = 4\n');
  gate = await Gate.open();
  project = realpathSync(mkdtempSync(join(tmpdir(), 'rch-top-')));
  writeFileSync(join(project, 'tool.py'), toolText);
  writeFileSync(join(project, 'Makefile'), `all:\n\t@/usr/bin/python3 tool.py ${gate.port}\n`);
  await world.start();
  await world.rch(['workers', 'probe', 'near']);
});

/** A build runs: one that a test ended is begun anew. */
async function building(): Promise<void> {
  if (tool?.alive === true) return;
  const child = world.spawn(['make'], { cwd: project, env: { RCH_FORCE_REMOTE: '1' } });
  child.stdin?.end();
  build = ended(child);
  tool = await gate.tool();
  await tool.does(`print('\\033[32mgreen\\033[0m and plain')`);
}
let tmux: Tmux | undefined;
afterEach(() => {
  tmux?.close();
  tmux = undefined;
});
afterAll(async () => {
  gate.close();
  await world.dispose();
  rmSync(project, { recursive: true, force: true });
});

const quoted = (word: string): string => `'${word}'`;

/** Runs a command between two words, and says afterwards whether the terminal takes whole lines again. */
function run(command: string, size: Size = small): Tmux {
  const line = `echo before; ${command}; echo "ended $?"; stty -a | grep -qw -- -icanon && echo raw || echo cooked; exec cat`;
  const opened = Tmux.open(line, size, { ...world.env });
  tmux = opened;
  return opened;
}

const openTop = (size: Size = small): Tmux =>
  run([process.execPath, join(world.data, 'lib', 'rch.mjs'), 'top'].map(quoted).join(' '), size);

async function shows(pane: Tmux, text: string | RegExp): Promise<void> {
  await expect.poll(() => pane.screen(), PATIENCE).toMatch(text);
}

/** The screen is the shell's again, as it was. */
async function isBack(pane: Tmux, end: string): Promise<void> {
  await shows(pane, end);
  await shows(pane, 'cooked');
  expect(pane.screen()).toMatch(/^before\n/);
  expect(pane.modes).toEqual({ alternate: false, cursor: true });
}

describe('rch top', () => {
  it('shows a running build with its coloured output, follows the window, and leaves no trace', async () => {
    await building();
    const pane = openTop();
    await shows(pane, /near +(healthy|degraded) .* 1 job/);
    await shows(pane, /RUNNING ON WORKERS\n +\w{8} near +running .*make/);
    expect(pane.modes).toEqual({ alternate: true, cursor: false });
    pane.type('Tab');
    await shows(pane, 'green and plain');
    expect(pane.screen(true)).toMatch(/\u001b\[(38;5;2|32)m(\u001b\[49m)?green/);
    await tool?.does(`print('more ' * 3)`);
    await shows(pane, 'more more more');

    pane.resize({ columns: 120, rows: 40 });
    await shows(pane, /─{120}/);
    pane.resize(small);
    await shows(pane, /\n─{80}\n/);

    // Two letters may stand in the name of a temporary folder.
    pane.type('/', '~', '~');
    await shows(pane, 'nothing contains that');
    pane.type('Escape');
    await shows(pane, /near +(healthy|degraded)/);
    pane.type('?');
    await shows(pane, 'Any key goes back.');
    pane.type('x');
    pane.type('w');
    await shows(pane, 'RCH_FORCE_REMOTE skips the weighing');
    pane.type('Escape');
    await shows(pane, 'q quit');
    pane.type('q');
    await isBack(pane, 'ended 0');
  });

  it('drains a worker and lets it work again, and cancels a build, each after a yes', async () => {
    await building();
    await world.rch(['workers', 'enable', 'near']);
    const pane = openTop();
    await shows(pane, /near +(healthy|degraded)/);
    pane.type('d');
    await shows(pane, 'drain near: nothing new is sent there');
    pane.type('y');
    await shows(pane, /near +draining/);
    pane.type('d');
    await shows(pane, 'send commands to near again');
    pane.type('y');
    await shows(pane, /near +(healthy|degraded)/);
    pane.type('Tab', 'c');
    await shows(pane, 'cancel make? (y/n)');
    pane.type('y');
    // make dies of the signal too, or tells that its tool did, whichever it sees first.
    expect((await build).code).not.toBe(0);
    await shows(pane, /RECENT\n.*near +(signal|exit) 2/);
    pane.type('C-c');
    await isBack(pane, 'ended 0');
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('gives the terminal back on %s', async (signal, code) => {
    const pane = openTop();
    await shows(pane, /near +(healthy|degraded)/);
    process.kill(pane.child, signal);
    await isBack(pane, `ended ${code}`);
  });

  it('gives it back when it crashes, and says why', async () => {
    const script = join(project, 'crash.mjs');
    const from = join(folder, 'src', 'cli', 'top', 'full-screen.ts');
    const contents = `import { FullScreen } from ${JSON.stringify(from)};
      const screen = new FullScreen(process.stdin, process.stdout, { resized: () => {}, typed: () => { throw new Error('a bug'); } });
      screen.open(); screen.draw(['drawn']);`;
    buildSync({
      stdin: { contents, resolveDir: folder },
      ...{ bundle: true, platform: 'node', format: 'esm', outfile: script },
    });
    const pane = run(`${quoted(process.execPath)} ${quoted(script)}`);
    await shows(pane, 'drawn');
    pane.type('x');
    await isBack(pane, 'ended 70');
    expect(pane.screen()).toContain('rch: Error: a bug');
  });

  it('waits for a daemon that is gone, and goes on with the next', async () => {
    const pane = openTop();
    await shows(pane, /near +(healthy|degraded)/);
    await world.rch(['daemon', 'stop']);
    await shows(pane, 'the daemon is gone');
    await world.start();
    await shows(pane, /^rch.*\nWORKERS\n.*near +(healthy|degraded)/);
    pane.type('q');
    await isBack(pane, 'ended 0');
  });

  it('says what to do instead where there is no terminal', async () => {
    await expect(world.rch(['top'])).rejects.toThrow(
      'rch top is a view for a terminal\n     next: rch status --json',
    );
  });
});
