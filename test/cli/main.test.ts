import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Line } from './rig.ts';

let line: Line;
beforeAll(async () => {
  line = await Line.create();
});
afterAll(async () => {
  await line.world.dispose();
});

describe('the command line', () => {
  it('suggests the command that was meant, and ends with 2', async () => {
    const said = await line.say(['statsu']);
    expect(said.code).toBe(2);
    expect(said.err).toContain('Did you mean rch status?');
  });

  it('names the command that was meant where its group was left out, in help too', async () => {
    for (const [words, meant] of [
      [['probe'], 'rch workers probe'],
      [['setup', 'css'], 'rch workers setup'],
      [['discover'], 'rch workers discover'],
      [['install'], 'rch shim install or rch hook install'],
      [['workers', 'lst'], 'rch workers list'],
      [['help', 'probe'], 'rch workers probe'],
      [['help', 'workers', 'lst'], 'rch workers list'],
      [['workers', 'help', 'lst'], 'rch workers list'],
    ] as const) {
      const said = await line.say(words);
      expect(said.code, words.join(' ')).toBe(2);
      expect(said.err).toContain(`(Did you mean ${meant}?)`);
    }
    for (const words of [
      ['help', 'workers', 'nosuch'],
      ['workers', 'help', 'nosuch'],
    ]) {
      const none = await line.say(words);
      expect(none.code).toBe(2);
      expect(none.err).toContain("unknown command 'nosuch' of rch workers");
    }
    const help = await line.say(['help', 'workers', 'probe']);
    expect(help).toMatchObject({ code: 0, err: '' });
    expect(help.out).toContain('Usage: rch workers probe');
    expect(help.out).toContain('Examples:');
  });

  it('ends with 2 where the command line says too little, with the reason as JSON', async () => {
    for (const [words, reason] of [
      [['statsu'], "unknown command 'statsu' (Did you mean rch status?)"],
      [['status', '--nope'], "unknown option '--nope'"],
      [[], 'a command is missing'],
      [['cancel'], 'name one job, or say --all'],
      [['workers', 'probe'], 'which worker?'],
      [['history', '--since', 'yesterday'], '--since yesterday is neither a time ago nor a date'],
      [['history', '--since', '99999999999h'], '--since 99999999999h is neither a time ago nor'],
      [['jobs', 'fetch', ''], 'which job?'],
      [['dashboard', '--port', '0'], "option '--port <number>' argument '0' is invalid."],
    ] as const) {
      const said = await line.say([...words, '--json']);
      expect(said.code, words.join(' ')).toBe(2);
      const { error } = JSON.parse(said.out) as { error: { reason: string; next: string } };
      expect(error.reason).toContain(reason);
      expect(error.next).not.toBe('');
    }
  });

  it('prints help with exit codes and examples', async () => {
    const said = await line.say(['help']);
    expect(said.code).toBe(0);
    for (const word of [
      'daemon',
      'workers',
      'shim',
      'why',
      'history',
      'exec',
      'demo',
      '102',
      'RCH_BYPASS',
    ])
      expect(said.out).toContain(word);
  });

  it('takes --json before and after the command', async () => {
    const before = await line.say(['--json', 'version']);
    const after = await line.say(['version', '--json']);
    expect(JSON.parse(before.out)).toEqual(JSON.parse(after.out));
    expect(JSON.parse(after.out)).toMatchObject({ home: line.world.data });
  });

  it('prints a failure as JSON too, with the reason and the next step', async () => {
    const said = await line.say(['workers', 'probe', 'nobody', '--json']);
    expect(said.code).toBe(1);
    expect(JSON.parse(said.out)).toEqual({
      error: {
        reason: 'no worker is called "nobody": there are none yet',
        next: 'rch workers add --id NAME --host HOST --user USER',
      },
    });
  });

  it('colours only when asked, where there is no terminal', async () => {
    const escape = String.fromCharCode(27);
    for (const env of [{}, { CI: 'true' }, { TERM: 'xterm-256color', COLORTERM: 'truecolor' }])
      expect((await line.say(['status'], env)).out).not.toContain(escape);
    expect((await line.say(['workers', 'probe', 'nobody'], { CI: 'true' })).err).not.toContain(
      escape,
    );
    expect((await line.say(['status'], { FORCE_COLOR: '1' })).out).toContain(escape);
    expect((await line.say(['status'], { FORCE_COLOR: '1', NO_COLOR: '1' })).out).not.toContain(
      escape,
    );
    expect((await line.say(['status', '--no-color'], { FORCE_COLOR: '1' })).out).not.toContain(
      escape,
    );
  });

  it('shows what is wrong in a file, and where', async () => {
    line.world.writeConfig('config.toml', '[general]\nenabeld = false\n');
    try {
      const said = await line.say(['workers', 'list']);
      expect(said.code).toBe(1);
      expect(said.err).toContain(
        'config.toml:2:1: general.enabeld: there is no such key; did you mean "enabled"?',
      );
    } finally {
      line.world.writeConfig('config.toml', '');
    }
  });
});

describe('what contradicts itself', () => {
  it.each([
    ['exec --force-remote --local-only -- true', "'--local-only'"],
    ['exec --worker w1 --workers w2 -- true', "'--workers <ids>'"],
    ['hook install --project --local', "'--local'"],
    ['config set --user --project general.enabled true', "'--project'"],
    ['config unset --system --project general.enabled', "'--system'"],
    ['gc w1 --worker w2', 'two workers are named, w1 and w2'],
    ['workers setup w1 --only', '--only needs --with'],
  ])('is refused: %s', async (words, reason) => {
    // In a folder of its own, should it be done after all.
    const said = await line.say(words.split(' '), {}, line.world.root);
    expect(said).toMatchObject({ code: 2, out: '' });
    expect(said.err).toContain(reason);
  });
});

it('says what is wrong with the configuration to the end of the line where it is piped, with and without a daemon', async () => {
  const folder = join(line.world.home, 'a-rather-long-name/'.repeat(4));
  mkdirSync(folder, { recursive: true });
  const fleet = join(folder, 'workers.toml');
  writeFileSync(fleet, '\n  [[worker]]\n');
  line.world.writeConfig('config.toml', `[workers]\nconfig_file = "${fleet}"\n`);
  line.world.writeConfig('toolchain.toml', '[rust]\nchanel = "stable"\n');
  try {
    for (const running of [false, true]) {
      if (running) await line.say(['daemon', 'start']);
      const said = await line.say(['status']);
      expect(said.out).toContain(
        `${fleet}:2:3: worker: there is no such key; did you mean "workers"?\n`,
      );
      expect(said.out).toContain(
        'toolchain.toml:2:1: rust.chanel: there is no such key; did you mean "channel"?\n',
      );
      expect(said.out).toContain('workers: not known until the configuration is mended');
      expect(await line.facts(['status'])).toMatchObject({
        config: { problems: [{ line: 2, column: 3 }], notes: [{ line: 2, column: 1 }] },
      });
    }
  } finally {
    await line.say(['daemon', 'restart']);
    line.world.writeConfig('config.toml', '');
    line.world.writeConfig('toolchain.toml', '');
  }
});

describe('what goes wrong outside of a command', () => {
  const trace = /\n +at |node:internal/;

  it('says that the working folder was removed', () => {
    const shell = 'mkdir "$HOME/gone" && cd "$HOME/gone" && rmdir "$HOME/gone" && exec "$@"';
    const rch = join(line.world.data, 'lib', 'rch.mjs');
    for (const words of [
      ['config', 'show'],
      ['config', 'validate', 'x'],
      ['trust'],
      ['why', 'make'],
    ]) {
      const args = ['-c', shell, 'sh', process.execPath, rch, ...words];
      const said = spawnSync('/bin/sh', args, { env: line.world.env, encoding: 'utf8' });
      expect(said.status, words.join(' ')).toBe(1);
      expect(said.stderr).toContain('rch: the folder that you are in was removed\n');
      expect(said.stderr).toContain('next: cd to one that is there\n');
      expect(said.stderr).not.toMatch(trace);
    }
    const args = ['-c', shell, 'sh', process.execPath, rch, 'doctor', 'hook'];
    const said = spawnSync('/bin/sh', args, { env: line.world.env, encoding: 'utf8' });
    expect(said.stdout).toContain('the folder that you are in was removed');
    expect(said.stdout).not.toContain('uv_cwd');
  });

  it('says that its output has no room', () => {
    const rch = join(line.world.data, 'lib', 'rch.mjs');
    const full = openSync('/dev/full', 'w');
    const args = [rch, 'version'];
    const said = spawnSync(process.execPath, args, {
      env: line.world.env,
      encoding: 'utf8',
      stdio: ['ignore', full, 'pipe'],
    });
    closeSync(full);
    expect(said.status).toBe(1);
    expect(said.stderr).toContain('cannot be written: no space is left there');
    expect(said.stderr).not.toMatch(trace);
  });

  it('names a damaged layout.json, with a trace only for -v, and as JSON', async () => {
    const file = join(line.world.data, 'lib', 'layout.json');
    const before = readFileSync(file, 'utf8');
    for (const text of ['{"config":', '{}']) {
      writeFileSync(file, text);
      const said = await line.say(['version']);
      expect(said.code).toBe(1);
      expect(said.err).toContain(`rch: ${file} is damaged: install rch again`);
      expect(said.err).not.toMatch(trace);
      expect((await line.say(['version', '-v'])).err).toMatch(trace);
      expect(JSON.parse((await line.say(['version', '--json'])).out)).toMatchObject({
        error: { reason: `${file} is damaged: install rch again (./install.sh)` },
      });
    }
    writeFileSync(file, before);
  });
});

describe('exec', () => {
  it('puts the shims first on PATH and ends with the code of the command', async () => {
    const said = await line.say(['exec', '--', 'sh', '-c', 'command -v make; exit 7']);
    expect(said).toEqual({ code: 7, signal: null, out: `${line.shims}/make\n`, err: '' });
  });

  it('hands over every argument as it is', async () => {
    const said = await line.say(['exec', '--', 'printf', '%s|', '--json', '-n', '', "a'b", '--']);
    expect(said.out).toBe("--json|-n||a'b|--|");
  });

  it('dies of the signal that the command died of', async () => {
    const said = await line.say(['exec', '--', 'sh', '-c', 'kill -TERM $$']);
    expect(said).toMatchObject({ code: null, signal: 'SIGTERM' });
  });

  it('says so where it is told what there is not', async () => {
    const worker = await line.say(['exec', '--worker', 'nope', '--', 'true']);
    expect(worker.code).toBe(1);
    expect(worker.err).toContain('there is no worker nope');
    expect(worker.err).toContain('rch workers list');
    for (const option of [
      ['--compression', '99'],
      ['--notice', 'maybe'],
    ])
      expect((await line.say(['exec', ...option, '--', 'true'])).code, option.join(' ')).toBe(2);
  });

  it('ends with 127 when there is no such command', async () => {
    const empty = await line.say(['exec', '--', '']);
    expect(empty.code).toBe(127);
    expect(empty.err).toContain("rch: '': command not found\n");
    const said = await line.say(['exec', '--', 'no-such-command']);
    expect(said.code).toBe(127);
    expect(said.err).toContain('no-such-command: command not found');
  });
});
