/** rch-hook as a process: what it asks, what it says, and that nothing makes it fail. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encode } from '../../src/protocol/codec.ts';
import { SHIM_PROTOCOL, shimMessages } from '../../src/protocol/shim.ts';
import { compile } from './build.ts';
import { LauncherWorld, type End, type RunOptions } from './launcher-rig.ts';

const call = (command: string): string =>
  JSON.stringify({
    session_id: 's',
    cwd: '/tmp/é',
    hook_event_name: 'PreToolUse',
    tool_name: 'Bash',
    tool_input: { command, timeout: 5 },
  });

const silent = { code: 0, signal: null, stdout: '', stderr: '' };

describe('rch-hook', () => {
  let world: LauncherWorld;
  let hook: string;
  let patientProgram: string;
  beforeAll(() => {
    patientProgram = compile('shims/launcher.c', 'sanitized', ['-DHOOK_ANSWER_MS=60000']);
    compile('shims/launcher.c', 'sanitized');
  });
  beforeEach(() => {
    world = new LauncherWorld('sanitized');
    hook = join(world.home, 'lib', 'rch-hook');
    symlinkSync('rch-shim', hook);
    writeFileSync(world.run('stopped'), '');
  });
  afterEach(async () => {
    await world.dispose();
  });

  /** The end of one call; the shims are not on its PATH. */
  async function ask(
    input: string | Buffer,
    options: RunOptions = {},
    args: readonly string[] = [],
  ): Promise<Omit<End, 'stdout' | 'stderr'> & { stdout: string; stderr: string }> {
    const env = { PATH: `${world.bin}:/usr/bin:/bin`, ...options.env };
    const end = await world.start(hook, args, { ...options, input, env }).end;
    return { ...end, stdout: end.stdout.toString(), stderr: end.stderr.toString() };
  }

  /** In place of the link, a build whose patience no busy machine wears out. */
  function patient(): void {
    hook = join(world.home, 'lib', 'patient', 'rch-hook');
    mkdirSync(join(world.home, 'lib', 'patient'));
    copyFileSync(patientProgram, join(world.home, 'lib', 'rch-shim-patient'));
    symlinkSync('../rch-shim-patient', hook);
  }

  describe('at the beginning of a session', () => {
    const start = (session: unknown): string =>
      JSON.stringify({ session_id: session, hook_event_name: 'SessionStart', source: 'startup' });
    const line = (): string => `export PATH='${join(world.home, 'shims')}':"$PATH"\n`;
    let file: string;
    let env: Record<string, string>;
    beforeEach(() => {
      file = join(world.home, 'session.sh');
      env = { CLAUDE_ENV_FILE: file };
    });
    const marks = (): string[] => {
      const folder = world.run('sessions');
      return existsSync(folder) ? readdirSync(folder) : [];
    };

    it('gives its shells the shims, once, and then changes no line of it', async () => {
      patient();
      writeFileSync(file, 'export A=1');
      for (let times = 0; times < 2; times++)
        expect(await ask(start('s'), { env })).toMatchObject(silent);
      expect(readFileSync(file, 'utf8')).toBe(`export A=1\n${line()}`);
      expect(execFileSync('sh', ['-c', `. '${file}'; echo "$A $PATH"`]).toString()).toMatch(
        new RegExp(`^1 ${join(world.home, 'shims')}:`),
      );
      // No daemon is asked: it would be waited for.
      await world.listen('front.sock');
      expect(await ask(call('cargo build'))).toMatchObject(silent);
      expect(marks()).toEqual(['s']);
    });

    it('forgets sessions of long ago', async () => {
      mkdirSync(world.run('sessions'), { mode: 0o700 });
      for (const [name, day] of [
        ['old', 100],
        ['young', 10],
      ] as const) {
        writeFileSync(world.run(`sessions/${name}`), '');
        const then = Date.now() / 1000 - day * 86_400;
        utimesSync(world.run(`sessions/${name}`), then, then);
      }
      await ask(start('s'), { env });
      expect(marks().sort()).toEqual(['s', 'young']);
    });

    it.each<[string, (shims: string) => Record<string, string>]>([
      ['no file', () => ({})],
      ['a folder in place of the file', () => ({ CLAUDE_ENV_FILE: '/tmp' })],
      ['a relative path', () => ({ CLAUDE_ENV_FILE: 'x' })],
      ['the shims on PATH already', (shims) => ({ ...env, PATH: `${shims}:/usr/bin:/bin` })],
      ['RCH_BYPASS', () => ({ ...env, RCH_BYPASS: '1' })],
    ])('does nothing with %s', async (_, given) => {
      const end = await ask(start('s'), { env: given(join(world.home, 'shims')) });
      expect(end).toMatchObject(silent);
      expect(existsSync(file)).toBe(false);
      expect(marks()).toEqual([]);
    });

    it.each(['', '../x', 'a/b', '.hidden', 'x'.repeat(65), 'a\u0000b', 7, null])(
      'marks no session with the name %j',
      async (session) => {
        expect(await ask(start(session), { env })).toMatchObject(silent);
        expect(readFileSync(file, 'utf8')).toBe(line());
        expect(marks()).toEqual([]);
      },
    );
  });

  it('asks the daemon about the line, and puts the shims before it', async () => {
    patient();
    const front = await world.listen('front.sock');
    const end = ask(call('cargo build "é" \ud83d\ude00\n'));
    const peer = await front.accept();
    const question = await peer.next('hookQuestion');
    expect(question.protocol).toBe(SHIM_PROTOCOL);
    expect(question.line.toString()).toBe('cargo build "é" 😀\n');
    expect(question.cwd.toString()).toBe('/tmp/é');
    peer.send({ type: 'hookAnswer', wrap: true });
    const { code, stdout, stderr } = await end;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({
      hookSpecificOutput: {
        hookEventName: 'PreToolUse',
        updatedInput: {
          command: `export PATH='${world.shims}':"$PATH"; cargo build "é" 😀\n`,
          timeout: 5,
        },
      },
    });
  });

  it('says nothing when the daemon says that the line is none of ours', async () => {
    patient();
    const front = await world.listen('front.sock');
    const end = ask(call('ls'));
    const peer = await front.accept();
    await peer.next('hookQuestion');
    peer.send({ type: 'hookAnswer', wrap: false });
    expect(await end).toEqual(silent);
  });

  it('does not wait for the end of its input where the call is whole', async () => {
    patient();
    const front = await world.listen('front.sock');
    const run = world.start(hook, ['gemini'], { env: { PATH: '/usr/bin:/bin' } });
    run.child.stdin?.write('{"tool_name":"run_shell_command","x":{}');
    run.child.stdin?.write(',"tool_input":{"command":"make"}} \n');
    const peer = await front.accept();
    expect((await peer.next('hookQuestion')).line.toString()).toBe('make');
    peer.send({ type: 'hookAnswer', wrap: true });
    expect(JSON.parse((await run.end).stdout.toString())).toMatchObject({
      hookSpecificOutput: { tool_input: { command: expect.stringContaining('make') as string } },
    });
  });

  it('asks nothing where the shims are on PATH already, under whatever name, or it was told to keep out', async () => {
    const front = await world.listen('front.sock');
    const alias = join(world.root, 'alias');
    symlinkSync(world.shims, alias);
    const rest = `${world.bin}:/usr/bin:/bin`;
    const environments = [
      { PATH: `${world.shims}:${rest}` },
      { PATH: `${rest}:${alias}/` },
      { RCH_BYPASS: '1' },
      { RCH_ENABLED: '0' },
      { RCH_ON_WORKER: '1' },
    ];
    for (const env of environments) expect(await ask(call('make'), { env })).toEqual(silent);
    expect(await ask(call(`export PATH='${world.shims}':"$PATH"; make`))).toEqual(silent);
    expect(await ask(call('make'), {}, ['somebody'])).toEqual(silent);
    expect(front.count).toBe(0);
  });

  it('is silent about input that makes no sense, and asks nothing', async () => {
    const front = await world.listen('front.sock');
    const inputs = ['', '{', 'null', call('make').slice(0, -2), call('ma\u0000ke'), '\xff'];
    for (const input of inputs) expect(await ask(input)).toEqual(silent);
    expect(await ask(call('x'.repeat(9 << 20)))).toEqual(silent);
    expect(front.count).toBe(0);
  });

  it('ends where the input never does', async () => {
    const run = world.start(hook, [], { env: { PATH: '/usr/bin:/bin' } });
    run.child.stdin?.write('{"tool_name":');
    expect(await run.end).toMatchObject({ code: 0, stdout: Buffer.alloc(0) });
  });

  it('is silent without a daemon, or with one that hangs or talks nonsense', async () => {
    expect(await ask(call('make'))).toEqual(silent);
    const front = await world.listen('front.sock');
    expect(await ask(call('make'))).toEqual(silent);
    // Nobody answered; what it had asked is here.
    const hung = await front.accept();
    await hung.next('hookQuestion');
    await hung.closed;
    const frames = [
      encode(shimMessages, { type: 'ack' }),
      Buffer.from('0000000000', 'hex'),
      Buffer.from('ffffffff15', 'hex'),
      Buffer.from('0100000015', 'hex'),
    ];
    patient();
    for (const frame of frames) {
      const end = ask(call('make'));
      const peer = await front.accept();
      await peer.next('hookQuestion');
      peer.socket.write(frame);
      expect(await end).toEqual(silent);
    }
    const gone = ask(call('make'));
    (await front.accept()).socket.destroy();
    expect(await gone).toEqual(silent);
  });

  it('leaves a daemon alone that hung a moment ago, and a folder that is not ours alone', async () => {
    const front = await world.listen('front.sock');
    writeFileSync(world.run('hung'), '');
    expect(await ask(call('make'))).toEqual(silent);
    chmodSync(join(world.home, 'run'), 0o777);
    expect(await ask(call('make'))).toEqual(silent);
    expect(front.count).toBe(0);
  });

  it('is silent where there are no shims', async () => {
    rmSync(world.shims, { recursive: true });
    expect(await ask(call('make'))).toEqual(silent);
  });
});

describe('rch-hook without a daemon', () => {
  it('starts one in the background, so that the next call finds it', async () => {
    const world = new LauncherWorld('sanitized');
    try {
      const hook = join(world.home, 'lib', 'rch-hook');
      symlinkSync('rch-shim', hook);
      writeFileSync(join(world.home, 'lib', 'rchd.mjs'), '');
      await world.start('mkfifo', [join(world.root, 'started')]).end;
      world.tool('node', `echo "$*" > ${world.root}/started`, join(world.home, 'lib'));
      const env = { PATH: '/usr/bin:/bin' };
      const end = await world.start(hook, [], { env, input: call('make') }).end;
      expect(end).toMatchObject({ code: 0, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) });
      const told = await world.start('cat', [join(world.root, 'started')]).end;
      expect(told.stdout.toString()).toBe(`${world.home}/lib/rchd.mjs --background\n`);
      expect(existsSync(world.run('starting'))).toBe(true);
    } finally {
      await world.dispose();
    }
  });
});
