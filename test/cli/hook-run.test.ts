/** The hook and the output policy as their user meets them: a fresh installation, one worker, bash and a terminal. */
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ended, World, type Ended } from '../rig/world.ts';
import { compile } from '../shims/build.ts';

let world: World;
let project: string;
let onPty: string;
let patient: string;
beforeAll(async () => {
  onPty = compile('test/shims/on-pty.c', 'plain', ['-lutil']);
  patient = compile('shims/launcher.c', 'sanitized', ['-DHOOK_ANSWER_MS=60000']);
  world = await World.create('[[workers]]\nid = "here"\ntransport = "embedded"\n');
  project = join(world.home, 'app');
  mkdirSync(project);
  writeFileSync(join(project, 'main.c'), 'int main(void) { return 0; }\n');
  writeFileSync(join(project, 'Makefile'), 'app: main.c\n\t$(CC) -o $@ $<\n');
  await world.rch(['daemon', 'start']);
});
afterAll(async () => {
  await world.dispose();
});

const force = { RCH_FORCE_REMOTE: '1' };

/** A program without the shims on its PATH. */
function plain(argv: readonly string[], input = '', env = {}): Promise<Ended> {
  return world.run(argv, { cwd: project, input, env: { ...force, ...env }, shims: false });
}

/** `make`, which has something to do, through the shims: on a terminal of its own, or with pipes. */
function make(terminal: boolean, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  rmSync(join(project, 'app'), { force: true });
  const argv = terminal ? [onPty, '24', '80', 'make'] : ['make'];
  return world.run(argv, { cwd: project, env: { ...force, ...env } });
}

const line = /^rch: here: queue \S+ m?s, scan .* run .* return \S+ m?s; total \S+ m?s$/;

describe('an agent with the hook', () => {
  /** What the agent runs instead; the hook's patience is long, as this machine may be busy. */
  async function rewritten(command: string): Promise<string | undefined> {
    const folder = join(world.data, 'lib', 'patient');
    if (!existsSync(folder)) {
      copyFileSync(patient, join(world.data, 'lib', 'rch-shim-patient'));
      mkdirSync(folder);
      symlinkSync('../rch-shim-patient', join(folder, 'rch-hook'));
    }
    const call = { tool_name: 'Bash', tool_input: { command, timeout: 1000 }, cwd: project };
    const said = await plain([join(folder, 'rch-hook')], JSON.stringify(call));
    expect({ code: said.code, stderr: said.stderr.toString() }).toEqual({ code: 0, stderr: '' });
    if (said.stdout.length === 0) return undefined;
    const answer = JSON.parse(said.stdout.toString()) as {
      hookSpecificOutput: { updatedInput: { command: string; timeout: number } };
    };
    expect(answer.hookSpecificOutput.updatedInput.timeout).toBe(1000);
    return answer.hookSpecificOutput.updatedInput.command;
  }

  it('builds on a worker, whatever stands around the tool', async () => {
    rmSync(join(project, 'app'), { force: true });
    const command = await rewritten('cd . && make 2>&1 | tee log; echo "ended ${PIPESTATUS[0]}"');
    const said = await plain(['bash', '-c', command ?? '']);
    expect(said.stderr.toString()).toBe('');
    expect(said.stdout.toString()).toMatch(/-o app main\.c\nended 0\n$/);
    expect(existsSync(join(project, 'app'))).toBe(true);
    const [row] = await world.history(1);
    expect(row).toMatchObject({ command: 'make', decision: 'remote', worker: 'here', exit: 0 });
  });

  it('is left alone with commands that name no tool of ours', async () => {
    expect(await rewritten('ls -l | grep maker; git status')).toBeUndefined();
    expect(await rewritten('echo "make it"; cargo fmt && make clean')).toBeUndefined();
    const text = 'x\n'.repeat(100_000);
    expect(await rewritten(`cat > file <<'END'\n${text}END\nmake`)).toMatch(/^export PATH=/);
    expect(await rewritten("bash -c 'cargo build'")).toContain("; bash -c 'cargo build'");
  });
});

describe('the words of rch', () => {
  const lines = (text: Buffer): string[] => text.toString().split(/\r?\n/).filter(Boolean);

  it('are one dim line at the end on a terminal, and none elsewhere', async () => {
    const shown = lines((await make(true)).stdout);
    const last = shown.at(-1) ?? '';
    expect(last.startsWith('\u001b[2m')).toBe(true);
    expect(last.replaceAll(/\u001b\[\d*m/g, '')).toMatch(line);
    expect(shown.filter((text) => text.includes('rch:'))).toHaveLength(1);
    expect(lines((await make(false)).stderr)).toEqual([]);
  });

  it('tell of each phase with RCH_VERBOSE, each line once with our name', async () => {
    const told = lines((await make(false, { RCH_VERBOSE: '1' })).stderr);
    expect(told[0]).toMatch(/^rch: remote: on here: /);
    expect(told).toContain('rch: running on here');
    expect(told).toContain('rch: returning from here');
    expect(told.at(-1)).toMatch(line);
    expect(told.filter((text) => !/^rch: (?!rch)/.test(text))).toEqual([]);
  });

  it.each([
    ['always', 1, 1],
    ['never', 0, 0],
  ])('go by output.notice: %s', async (notice, piped, shown) => {
    world.writeConfig('config.toml', `[output]\nnotice = "${notice}"\n`);
    await world.rch(['daemon', 'restart']);
    const told = lines((await make(false)).stderr);
    expect(told.filter((text) => line.test(text))).toHaveLength(piped);
    expect(told).toHaveLength(piped);
    const screen = (await make(true)).stdout.toString();
    expect(screen.match(/rch: /g) ?? []).toHaveLength(shown);
  });
});

describe('rch exec', () => {
  const program = (): string => join(world.data, 'lib', 'rch.mjs');
  function exec(args: readonly string[], env = {}): Promise<Ended> {
    return plain([process.execPath, program(), 'exec', ...args], '', env);
  }

  it('marks each line with the worker that its command runs on', async () => {
    rmSync(join(project, 'app'), { force: true });
    const made = await exec(['--prefix', '--', 'make']);
    expect({ ...made, stderr: made.stderr.toString() }).toMatchObject({ code: 0, stderr: '' });
    expect(made.stdout.toString()).toBe('[here] cc -o app main.c\n');
    const here = await exec(['--prefix', '--', 'sh', '-c', 'printf "a\nno end"; echo odd >&2']);
    expect(here.stdout.toString()).toBe('[local] a\n[local] no end');
    expect(here.stderr.toString()).toBe('[local] odd\n');
  });

  it('shows the lines that were asked for, on the stream that they came from', async () => {
    const script = "printf 'a\\377b\\nmain.c:1: error: x\\n'; printf 'warning: y\\nz' >&2; exit 3";
    const said = await exec(['--filter', 'errors', '--', 'sh', '-c', script]);
    expect(said).toMatchObject({ code: 3, signal: null });
    expect(said.stdout.toString()).toBe('main.c:1: error: x\n');
    expect(said.stderr.toString()).toBe('warning: y\n');
  });

  it('dies of the signal that a filtered command died of, with all that it wrote', async () => {
    const said = await exec(['--prefix', '--', 'sh', '-c', 'echo x; kill -TERM $$']);
    expect(said).toMatchObject({
      code: null,
      signal: 'SIGTERM',
      stdout: Buffer.from('[local] x\n'),
    });
  });

  it('refuses a filter that there is none of', async () => {
    const child = spawn(process.execPath, [program(), 'exec', '--filter', 'x', '--', 'true'], {
      env: world.env,
    });
    expect(await ended(child)).toMatchObject({ code: 2 });
  });
});
