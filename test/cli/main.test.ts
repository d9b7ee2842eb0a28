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
    expect(said.err).toContain('Did you mean status?');
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

  it('ends with 127 when there is no such command', async () => {
    const said = await line.say(['exec', '--', 'no-such-command']);
    expect(said.code).toBe(127);
    expect(said.err).toContain('no-such-command: command not found');
  });
});
