import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createColors } from 'picocolors';
import { layoutFor } from '../../src/base/layout.ts';
import { complete } from '../../src/cli/complete.ts';
import { programFor } from '../../src/cli/program.ts';
import type { Context } from '../../src/cli/report.ts';
import { Line } from './rig.ts';

let line: Line;
let project: string;
let file: string;
beforeAll(async () => {
  line = await Line.create('[[workers]]\nid = "css"\nhost = "h"\n');
  project = join(line.world.home, 'app');
  file = join(project, '.rch', 'config.toml');
  mkdirSync(join(project, '.git'), { recursive: true });
});
afterAll(async () => {
  await line.world.dispose();
});

const say = (...args: string[]): ReturnType<Line['say']> => line.say(args, {}, project);

describe('rch config', () => {
  it('sets, shows with its origin, gets and unsets a value of the user', async () => {
    writeFileSync(line.config('config.toml'), '# mine\n[transfer]\ncompression_level = 4 # why\n');
    expect((await say('config', 'set', 'transfer.compression_level', '6')).code).toBe(0);
    expect(readFileSync(line.config('config.toml'), 'utf8')).toBe(
      '# mine\n[transfer]\ncompression_level = 6 # why\n',
    );
    const shown = await say('config', 'show', 'transfer', '--origin');
    expect(shown.out).toContain(
      `compression_level = 6   # user, ${line.config('config.toml')}:3\n`,
    );
    expect(shown.out).toContain('checksum = false   # default\n');
    const asked = await line.say(
      ['config', 'show', 'transfer', '--origin'],
      { RCH_COMPRESSION: '9' },
      project,
    );
    expect(asked.out).toContain('compression_level = 9   # environment, RCH_COMPRESSION\n');
    expect((await say('config', 'get', 'transfer.compression_level')).out).toBe('6\n');
    expect((await say('config', 'unset', 'transfer.compression_level')).code).toBe(0);
    expect(readFileSync(line.config('config.toml'), 'utf8')).toBe('# mine\n');
  });

  it('refuses a wrong key with the nearest right one, and a wrong value with what is allowed', async () => {
    const key = await say('config', 'set', 'transfer.compresion_level', '6');
    expect(key.code).toBe(1);
    expect(key.err).toContain('did you mean transfer.compression_level?');
    const value = await say('config', 'set', 'general.log_level', 'loud');
    expect(value.code).toBe(1);
    expect(value.err).toContain('must be one of "trace", "debug", "info", "warn", "error"');
    expect(readFileSync(line.config('config.toml'), 'utf8')).toBe('# mine\n');
  });

  it("makes a project's file, sets in it what it may hold, and trusts it", async () => {
    rmSync(file, { force: true });
    expect((await say('config', 'init')).out).toContain(`made ${file}`);
    expect((await say('config', 'init')).code).toBe(1);
    expect((await say('config', 'set', 'execution.timeout_sec', '7200')).out).toContain(
      '(project,',
    );
    expect((await say('config', 'set', 'hooks.post_compile', './done.sh')).code).toBe(0);
    expect((await say('config', 'get', 'hooks.post_compile')).out).toBe('');
    const trusted = await say('trust');
    expect(trusted.out).toContain('hooks.post_compile = ./done.sh');
    expect((await say('config', 'get', 'hooks.post_compile')).out).toBe('./done.sh\n');
    expect((await say('trust', '--list')).out).toContain(file);
    expect((await say('trust', '--revoke')).code).toBe(0);
    expect((await say('config', 'get', 'hooks.post_compile')).out).toBe('');
    expect((await say('config', 'show', 'hooks')).out).toContain(
      'waits for rch trust: hooks.post_compile',
    );
  });

  it('validates every file that holds here, and says where one is wrong', async () => {
    expect((await say('config', 'validate')).code).toBe(0);
    writeFileSync(file, '[project]\nenabled = true\n[execution]\ntimeout_secs = 5\n');
    const said = await say('config', 'validate');
    expect(said.code).toBe(1);
    expect(said.out).toContain(
      `${file}:4:1: execution.timeout_secs: there is no such key; did you mean "timeout_sec"?`,
    );
    const reset = await say('config', 'reset', '--project');
    expect(reset.code).toBe(0);
    expect(existsSync(file)).toBe(false);
    expect(existsSync(`${file}.old`)).toBe(true);
  });

  it('edits in $EDITOR and checks afterwards', async () => {
    const editor = join(line.world.root, 'editor');
    mkdirSync(dirname(editor), { recursive: true });
    writeFileSync(editor, '#!/bin/sh\nprintf "[general]\\nverbos = true\\n" > "$1"\n', {
      mode: 0o755,
    });
    const said = await line.say(['config', 'edit', '--user'], { EDITOR: editor }, project);
    expect(said.code).toBe(1);
    expect(said.out).toContain('did you mean "verbose"?');
    writeFileSync(line.config('config.toml'), '');
  });

  it('makes a file of the user whose every line, its # taken away, leaves all as it is', async () => {
    const own = line.config('config.toml');
    rmSync(own);
    expect((await say('config', 'init', '--user')).code).toBe(0);
    const text = readFileSync(own, 'utf8');
    expect(text).toContain(`# config_file = "${line.config('workers.toml')}"\n`);
    expect(text).toContain('# allowed = ["css"]\n');
    writeFileSync(own, text.replace(/^# (?=[a-z_]+ = )/gm, ''));
    expect((await say('config', 'validate')).out).not.toMatch(/^(wrong|warning)/m);
    expect(await line.facts(['status'])).toMatchObject({ workers: [{ id: 'css' }] });
    writeFileSync(own, '');
  });

  it('warns of a worker that nobody has, by the file that names it', async () => {
    const own = line.config('config.toml');
    const set = await say('config', 'set', '--user', 'workers.allowed', 'cs');
    expect(set.code).toBe(0);
    const words = 'no worker is called "cs", so that every command runs here; did you mean "css"?';
    expect(set.out).toContain(`\nwarning: ${words}\n`);
    await say('config', 'set', '--project', 'workers.blocked', 'css', 'csx');
    const valid = await say('config', 'validate');
    expect(valid.code).toBe(0);
    expect(valid.out).toContain(`right   ${own}\nwarning ${own}:2:1: workers.allowed: ${words}\n`);
    const theirs = `${file}:2:1: workers.blocked: no worker is called "csx"; did you mean "css"?\n`;
    expect(valid.out).toContain(`warning ${theirs}`);
    expect((await say('config', 'validate', file)).out).toContain(`warning ${theirs}`);
    const status = await say('status');
    expect(status.out).toContain(`config: ${own}:2:1: workers.allowed: ${words}\n`);
    expect(status.out).toContain(`config: ${theirs}`);
    const { checks } = JSON.parse((await say('doctor', 'config', '--json')).out) as {
      checks: { id: string; state: string; why: string }[];
    };
    expect(checks.filter(({ id }) => id === 'config.names')).toMatchObject([
      { state: 'warn', why: `${own}:2:1: workers.allowed: ${words}` },
      { state: 'warn', why: theirs.trimEnd() },
    ]);
    await say('config', 'reset', '--project');
    writeFileSync(own, '');
  });

  it('says that a key of a project waits for trust, until it is trusted', async () => {
    const word = /^warning: it has no effect until you run rch trust$/m;
    const set = (key: string, value: string) => say('config', 'set', '--project', key, value);
    expect((await set('workers.preferred', 'css')).out).toMatch(word);
    expect((await set('hooks.post_compile', './x')).out).toMatch(word);
    expect((await set('execution.env.CC', 'gcc')).out).toMatch(word);
    expect((await set('execution.timeout_sec', '9')).out).not.toMatch(word);
    await say('config', 'reset', '--project');
  });

  it('knows a file of workers by its place and by what is in it, and misses one that is named', async () => {
    const own = line.config('config.toml');
    const fleet = join(line.world.home, 'fleet.toml');
    writeFileSync(fleet, '[[workers]]\nid = "css"\nhost = "h"\n');
    expect(await say('config', 'validate', fleet)).toMatchObject({
      code: 0,
      out: `right   ${fleet}\n`,
    });
    writeFileSync(own, `[workers]\nconfig_file = "${fleet}"\n`);
    writeFileSync(fleet, '[[worker]]\n');
    expect((await say('config', 'validate', fleet)).out).toContain('did you mean "workers"?');
    rmSync(fleet);
    const said = await say('config', 'validate');
    expect(said.code).toBe(1);
    const wrong = `${own}:2:1: workers.config_file: there is no file ${fleet}\n`;
    expect(said.out).toContain(`wrong   ${wrong}`);
    expect((await say('status')).out).toContain(`config: ${wrong}`);
    // The first worker makes it.
    const add = ['workers', 'add', '--id', 'b', '--transport', 'command', '--', 'sh'];
    expect((await say(...add)).code).toBe(0);
    expect((await say('config', 'validate')).code).toBe(0);
    writeFileSync(own, '[workers]\nconfig_file = "../../fleet.toml"\n');
    expect((await say('workers', 'list')).out).toMatch(/^b /m);
    writeFileSync(own, '');
  });

  it('shows as changed only what is not as by default', async () => {
    const own = line.config('config.toml');
    writeFileSync(own, '[transfer]\ncompression_level = 3\n[general]\nverbose = true\n');
    expect((await say('config', 'show', '--changed')).out).toBe('[general]\nverbose = true\n');
    writeFileSync(own, '');
  });

  it('does not wait for keys where there is no terminal', async () => {
    const said = await line.say(['config', 'edit', '--user'], { EDITOR: '', VISUAL: '' }, project);
    expect(said.code).toBe(1);
    expect(said.err).toContain('there is no terminal to edit');
    expect(said.err).toContain('rch config set KEY VALUE');
  });
});

it('completes commands, worker ids, keys and choices, and says nothing behind --', async () => {
  const program = programFor(import.meta.url);
  const context: Context = {
    layout: layoutFor(line.world.env, line.world.data),
    env: line.world.env,
    version: '0',
    json: false,
    verbose: false,
    look: { colors: createColors(false), width: 80 },
    note: () => undefined,
  };
  const words = async (...typed: string[]): Promise<string[]> => {
    const found = await complete(program, context, { shell: 'bash', words: typed });
    if (!found.ok) throw new Error(found.failure.reason);
    return found.value.text(context.look).split('\n');
  };
  expect(await words('conf')).toEqual(['config']);
  expect(await words('workers', 'probe', '')).toEqual(['css']);
  expect(await words('exec', '--worker', '')).toEqual(['css']);
  expect(await words('config', 'set', 'store.')).toEqual(['store.limit_gb']);
  expect(await words('completions', 'z')).toEqual(['zsh']);
  expect(await words('status', '--js')).toEqual(['--json']);
  expect(await words('exec', '--', '')).toEqual(['']);
  // By way of the shell's own call.
  const said = await say('complete', '--shell', 'fish', '--', 'workers', 'pro');
  expect(said.out).toBe('probe\tconnect, and show what the machine is and has\n');
});

it('says nothing with -q, and more with -v', async () => {
  expect((await say('-q', 'version')).out).toBe('');
  expect((await say('version', '-v')).err).toContain(`installed in ${line.world.data}`);
});
