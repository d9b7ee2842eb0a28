/** `rch hook`: what it does to the settings of agents. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { createColors } from 'picocolors';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { layoutFor } from '../../src/base/layout.ts';
import { agentNames } from '../../src/cli/hook/agents.ts';
import { hookInstall, hookUninstall, hookUninstallAll } from '../../src/cli/hook/install.ts';
import { hookStatus } from '../../src/cli/hook/status.ts';
import type { Context, Outcome } from '../../src/cli/report.ts';
import { Line, type Said } from './rig.ts';

let line: Line;
let home: string;
let settings: string;
let program: string;
beforeAll(async () => {
  line = await Line.create();
  home = line.world.home;
  settings = join(home, '.claude', 'settings.json');
  program = join(line.world.data, 'lib', 'rch-hook');
});
afterAll(async () => {
  await line.world.dispose();
});
beforeEach(() => {
  for (const name of ['.claude', '.gemini', 'dotfiles', '.local/state/rch'])
    rmSync(join(home, name), { recursive: true, force: true });
});

function put(text: string, file = settings): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
const get = (file = settings): string => readFileSync(file, 'utf8');

/** The commands themselves, without the start of a program for each. */
function outcomeOf(args: readonly string[], env: Readonly<Record<string, string>>): Outcome {
  const context: Context = {
    layout: layoutFor({ HOME: home }),
    env: { HOME: home, PATH: '/usr/bin:/bin', ...env },
    version: '0',
    json: false,
    verbose: false,
    look: { colors: createColors(false), width: 100 },
    note: () => undefined,
  };
  const agent = agentNames.find((name) => args.includes(name)) ?? 'claude';
  const options = { agent, scope: args.includes('--local') ? 'local' : 'user' } as const;
  if (args[0] === 'install') return hookInstall(context, options);
  if (args[0] === 'status') return hookStatus(context, agent);
  return args.includes('--all') ? hookUninstallAll(context) : hookUninstall(context, options);
}
function hookIn(env: Readonly<Record<string, string>>, ...args: string[]): Said {
  const outcome = outcomeOf(args, env);
  if (!outcome.ok) {
    const { reason, next } = outcome.failure;
    return { code: 1, signal: null, out: '', err: `${reason}\nnext: ${next ?? ''}\n` };
  }
  const { text, exit } = outcome.value;
  const look = { colors: createColors(false), width: 100 };
  return { code: exit ?? 0, signal: null, out: `${text(look)}\n`, err: '' };
}
const hook = (...args: string[]): Said => hookIn({}, ...args);
function facts(...args: string[]): unknown {
  const outcome = outcomeOf(args, {});
  return outcome.ok ? outcome.value.facts : undefined;
}

type Group = { matcher?: string; hooks: { type: string; command: string }[] };
const groups = (event = 'PreToolUse', file = settings): Group[] =>
  (JSON.parse(get(file)) as { hooks: Record<string, Group[]> }).hooks[event] ?? [];

const dcg = { type: 'command', command: '/home/me/.local/bin/dcg' };
const rich = `{
\t"model": "opus",\r
\t"big": 1.50e2, "unicode": "caf\\u00e9 é",
\t"hooks" : {
\t\t"PostToolUse": [{"matcher":"Edit","hooks":[{"type":"command","command":"fmt"}]}],
\t\t"PreToolUse": [
\t\t\t{ "matcher": "Bash", "hooks": [ ${JSON.stringify(dcg)},
\t\t\t  {"type": "command", "command": "log"} ] },
\t\t\t{ "matcher": "*", "hooks": [] }
\t\t]
\t},
\t"permissions": {"allow": ["Bash(cargo build:*)"]}
}   \n`;

describe('install', () => {
  it('puts the hook before all others, and keeps those in their order', async () => {
    put(rich);
    expect(await line.say(['hook', 'install'])).toMatchObject({ code: 0, err: '' });
    const all = groups();
    expect(all[0]).toEqual({
      matcher: 'Bash',
      hooks: [{ type: 'command', command: program, timeout: 5 }],
    });
    expect(groups('SessionStart')).toEqual([
      { hooks: [{ type: 'command', command: program, timeout: 5 }] },
    ]);
    const before = JSON.parse(rich) as { hooks: { PreToolUse: Group[] } };
    expect(all.slice(1)).toEqual(before.hooks.PreToolUse);
    const others = (text: string): unknown => ({ ...(JSON.parse(text) as object), hooks: null });
    expect(others(get())).toEqual(others(rich));
    // Every byte outside of our entry is as it was.
    const entry = get().indexOf('\t\t\t{ "matcher": "Bash"');
    const from = rich.indexOf('\t\t\t{ "matcher": "Bash"');
    const rest = get()
      .slice(entry)
      .replace(/,\s*"SessionStart": \[[^]*?\n\t\t\]/, '');
    expect(rest).toBe(rich.slice(from));
    expect(get().startsWith(rich.slice(0, from))).toBe(true);
  });

  it('makes the launcher known under its other name', async () => {
    rmSync(program, { force: true });
    await line.say(['hook', 'install']);
    expect(readlinkSync(program)).toBe('rch-shim');
  });

  it('changes nothing the second time, and says so', () => {
    put(rich);
    hook('install');
    const once = get();
    const inode = statSync(settings).ino;
    expect(facts('install')).toMatchObject({
      agent: 'claude',
      change: 'unchanged',
      file: settings,
    });
    expect(get()).toBe(once);
    expect(statSync(settings).ino).toBe(inode);
  });

  it('renews the entry of another installation, and moves it to the front', () => {
    const old = { type: 'command', command: '/old/place/lib/rch-hook' };
    put(JSON.stringify({ hooks: { PreToolUse: [{ matcher: 'Bash', hooks: [dcg, old] }] } }));
    expect(facts('install')).toMatchObject({ change: 'renewed' });
    expect(groups().map((group) => group.hooks.map((each) => each.command))).toEqual([
      [program],
      [dcg.command],
    ]);
  });

  it.each([
    ['no file', undefined],
    ['an empty file', ''],
    ['an empty object', '{}'],
    ['no hooks', '{\n  "model": "opus"\n}\n'],
    ['hooks of another event', '{"hooks":{"Stop":[]}}'],
    ['an empty list', '{ "hooks": { "PreToolUse": [] } }'],
    ['a file in one line', '{"a":1,"hooks":{"PreToolUse":[{"matcher":"","hooks":[]}]}}'],
    ['a rich file', rich],
    ['line ends of Windows', rich.replaceAll(/\r?\n/g, '\r\n')],
  ])('is undone to the byte: %s', (_, text) => {
    if (text !== undefined) put(text);
    expect(hook('install').code).toBe(0);
    expect(groups()[0]?.hooks[0]?.command).toBe(program);
    expect(hook('uninstall')).toMatchObject({ code: 0, err: '' });
    expect(existsSync(settings) ? get() : undefined).toBe(text);
    expect(existsSync(join(home, '.claude'))).toBe(text !== undefined);
  });

  it('keeps a copy of what was, and says where', () => {
    put(rich);
    const { backup } = facts('install') as { backup: string };
    expect(get(backup)).toBe(rich);
    hook('uninstall');
    expect(existsSync(backup)).toBe(false);
  });

  it('leaves no other trace beside the file', () => {
    put(rich);
    hook('install');
    expect(readdirSync(dirname(settings))).toEqual(['settings.json']);
  });

  it('follows links, keeps them, and keeps the mode', () => {
    const real = join(home, 'dotfiles', 'claude.json');
    put(rich, real);
    chmodSync(real, 0o640);
    mkdirSync(dirname(settings), { recursive: true });
    symlinkSync('../dotfiles/claude.json', settings);
    hook('install');
    expect(readlinkSync(settings)).toBe('../dotfiles/claude.json');
    expect(groups('PreToolUse', real)).toHaveLength(3);
    expect(statSync(real).mode & 0o7777).toBe(0o640);
    hook('uninstall');
    expect(get(real)).toBe(rich);
    expect(lstatSync(settings).isSymbolicLink()).toBe(true);
  });

  it.each([
    ['{\n  "a": 1,\n  "b": tru\n}\n', 'line 3, column 8: "t" stands where a value should'],
    ['{"a": 1,}', 'line 1, column 9: "}" stands where a name in quotes should'],
    ['{\n  // mine\n}', 'line 2, column 3: "/" stands where a name in quotes should, and JSON has'],
    ['{"é": "x\n"}', 'line 1, column 7: a string is not well-formed'],
    ['{"a": [1', 'line 1, column 9: it ends where a comma or "]" should stand'],
    ['{} {}', 'line 1, column 4: something stands after its end'],
    ['[]', 'it is no object'],
    ['{"hooks": []}', '"hooks" is no object'],
    ['{"hooks": {"PreToolUse": {}}}', '"hooks.PreToolUse" is no list'],
    ['{"hooks": {"PreToolUse": [{"hooks": 1}]}}', '"hooks.PreToolUse[0].hooks" is no list'],
  ])('refuses %j and leaves it as it is', (text, reason) => {
    put(text);
    const inode = statSync(settings).ino;
    for (const command of ['install', 'uninstall']) {
      const said = hook(command);
      expect(said).toMatchObject({ code: 1, out: '' });
      expect(said.err).toContain(`${settings}: ${reason}`);
      expect(said.err).toContain('next: mend the file');
    }
    expect(get()).toBe(text);
    expect(statSync(settings).ino).toBe(inode);
  });

  it('writes for a project, and for one user of a project', async () => {
    const project = join(line.world.root, 'project');
    mkdirSync(project, { recursive: true });
    for (const [flag, name] of [
      ['--project', 'settings.json'],
      ['--local', 'settings.local.json'],
    ] as const) {
      const said = await line.say(['hook', 'install', flag], {}, project);
      expect(said.code).toBe(0);
      expect(groups('PreToolUse', join(project, '.claude', name))).toHaveLength(1);
      await line.say(['hook', 'uninstall', flag], {}, project);
    }
    expect(readdirSync(project)).toEqual([]);
    expect(existsSync(settings)).toBe(false);
  });

  it('points out rules that a changed line does not match', () => {
    const deny = ['Bash(cd x && make *)', 'Bash(make:*)', 'Read(a;b)'];
    put(
      JSON.stringify({ permissions: { deny, ask: ['Bash(make | tee *)'], allow: ['Bash(a; b)'] } }),
    );
    expect(facts('install')).toMatchObject({
      spanning: ['Bash(cd x && make *)', 'Bash(make | tee *)'],
    });
    expect(hook('status').out).toContain('note: the rule Bash(cd x && make *) is for several');
  });

  it('goes by CLAUDE_CONFIG_DIR', () => {
    const moved = join(home, 'dotfiles', 'claude');
    hookIn({ CLAUDE_CONFIG_DIR: moved }, 'install');
    expect(groups('PreToolUse', join(moved, 'settings.json'))).toHaveLength(1);
    expect(existsSync(settings)).toBe(false);
  });
});

describe('uninstall', () => {
  it('takes out our entry alone where something else changed meanwhile', () => {
    put('{\n  "model": "opus"\n}\n');
    hook('install');
    const changed = JSON.parse(get()) as { model: string; hooks: { PreToolUse: unknown[] } };
    changed.model = 'sonnet';
    changed.hooks.PreToolUse.push({ matcher: 'Bash', hooks: [dcg] });
    put(JSON.stringify(changed, undefined, 4));
    hook('uninstall');
    expect(JSON.parse(get())).toEqual({
      model: 'sonnet',
      hooks: { PreToolUse: [{ matcher: 'Bash', hooks: [dcg] }] },
    });
  });

  it('takes out what it had to add, when nothing else came to it', () => {
    put('{"a": 1}');
    hook('install');
    put(get().replace('"a": 1', '"a": 2'));
    hook('uninstall');
    expect(get()).toBe('{"a": 2}');
  });

  it('keeps the other hooks of a group that ours was moved into', () => {
    const ours = { type: 'command', command: `'${program}'` };
    put(JSON.stringify({ hooks: { PreToolUse: [{ matcher: 'Bash', hooks: [dcg, ours] }] } }));
    hook('uninstall');
    expect(groups()).toEqual([{ matcher: 'Bash', hooks: [dcg] }]);
  });

  it('says when there was nothing to take out', () => {
    put(rich);
    expect(hook('uninstall')).toMatchObject({
      code: 0,
      out: `rch-hook was not in ${settings}\n`,
    });
    expect(get()).toBe(rich);
  });

  it('finds every file with --all', () => {
    put(rich);
    hook('install');
    hook('install', '--agent', 'gemini');
    const { removed } = facts('uninstall', '--all') as { removed: unknown[] };
    expect(removed).toHaveLength(2);
    expect(get()).toBe(rich);
    expect(existsSync(join(home, '.gemini'))).toBe(false);
  });
});

describe('status', () => {
  it('says where the hook is, and whether it has anything to do', async () => {
    put(rich);
    expect(facts('status')).toMatchObject({ installed: false });
    hook('install');
    const said = await line.facts(['hook', 'status'], { PATH: `/usr/bin:${line.shims}` });
    expect(said).toMatchObject({
      agent: 'claude',
      offers: 'hook',
      installed: true,
      program,
      program_exists: true,
      shims: line.shims,
      shims_on_path: true,
    });
    const { files } = said as { files: { scope: string; file: string; first: boolean }[] };
    expect(files[0]).toMatchObject({ scope: 'user', file: settings, first: true, installed: true });
    expect(hook('status').out).toContain('the shims are not on this PATH');
  });

  it('tells of others before it, of hooks turned off, and of a file that cannot be read', () => {
    const ours = { matcher: 'Bash', hooks: [{ type: 'command', command: program, timeout: 5 }] };
    put(JSON.stringify({ hooks: { PreToolUse: [{ matcher: '', hooks: [dcg] }, ours] } }));
    expect(hook('status').out).toContain('other hooks stand before it');
    put(JSON.stringify({ hooks: { PreToolUse: [ours] } }));
    expect(hook('status').out).toContain('not for the beginning of sessions');
    expect(hook('install').out).toContain('renewed');
    expect(hook('status').out).toContain(`${settings}: installed\n`);
    put(JSON.stringify({ disableAllHooks: true, hooks: { PreToolUse: [ours] } }));
    expect(hook('status').out).toContain('the file turns all hooks off');
    put('{');
    expect(hook('status')).toMatchObject({ code: 1 });
  });
});

describe('other agents', () => {
  it('has Gemini CLI ask before its shell commands', () => {
    const file = join(home, '.gemini', 'settings.json');
    put('{"theme": "dark"}', file);
    hook('install', '--agent', 'gemini');
    expect(groups('BeforeTool', file)).toEqual([
      {
        matcher: 'run_shell_command',
        hooks: [{ type: 'command', command: `${program} gemini`, name: 'rch', timeout: 5000 }],
      },
    ]);
    expect(hook('install', '--agent', 'gemini', '--local').err).toContain(
      'Gemini CLI has no local settings file',
    );
    hook('uninstall', '--agent', 'gemini');
    expect(get(file)).toBe('{"theme": "dark"}');
  });

  it.each(['codex', 'cursor', 'generic'])(
    'prints what helps with %s, and changes nothing',
    async (agent) => {
      const calls = ['install', 'uninstall', 'status'].map((name) => hook(name, '--agent', agent));
      for (const said of [...calls, await line.say(['hook', '--agent', agent])]) {
        expect(said).toMatchObject({ code: 0, err: '' });
        expect(said.out).toContain('rch shim install');
        expect(said.out).toContain('rch exec -- ');
      }
      expect(readdirSync(home).filter((name) => /codex|cursor|claude/.test(name))).toEqual([]);
      const facts = (await line.facts(['hook', 'status', '--agent', agent])) as {
        recipe: string[];
      };
      if (agent === 'codex') expect(facts.recipe.join('\n')).toContain(`PATH = "${line.shims}:`);
    },
  );

  it('refuses an agent that nobody knows', async () => {
    expect(await line.say(['hook', 'install', '--agent', 'x'])).toMatchObject({ code: 2 });
  });
});
