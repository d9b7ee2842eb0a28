/** The job's pty: its bytes, its modes, its size, and the tool that reads it. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunMessage, type RunSpec, SandboxMethod } from '../../src/protocol/run.ts';
import { StreamKind } from '../../src/protocol/shim.ts';
import { bytes, compileRun, openFolder, RunJob, specOf } from './run-rig.ts';

let folder = '';
let binary = '';
let patient = '';

beforeAll(() => {
  folder = openFolder();
  binary = compileRun(folder, 'plain');
  patient = compileRun(folder, 'patient');
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Bits of termios(3) on Linux. */
const OPOST = 0o1;
const ONLCR = 0o4;
const ICANON = 0o2;
const ECHO = 0o10;
const ISIG = 0o1;
const IEXTEN = 0o100000;
const TOSTOP = 0o400;
const ICRNL = 0o400;

/** What a terminal emulator gives its shell. */
const modes = {
  iflag: ICRNL,
  oflag: OPOST | ONLCR,
  cflag: 0o277,
  lflag: ISIG | ICANON | ECHO | IEXTEN | TOSTOP,
};
const cc = Buffer.from(
  '\x03\x1c\x7f\x15\x04\x00\x01\x00\x11\x13\x1a\x00\x12\x0f\x17\x16\x00\x00\x00',
  'latin1',
);

function wire(of: typeof modes = modes): Buffer {
  const numbers = Buffer.alloc(16);
  [of.iflag, of.oflag, of.cflag, of.lflag].forEach((value, i) =>
    numbers.writeUInt32LE(value, 4 * i),
  );
  return Buffer.concat([numbers, cc]);
}

function modesOf(message: Extract<RunMessage, { type: 'ttyModes' }>): typeof modes {
  const [iflag, oflag, cflag, lflag] = [0, 4, 8, 12].map((at) => message.termios.readUInt32LE(at));
  return { iflag: iflag ?? 0, oflag: oflag ?? 0, cflag: cflag ?? 0, lflag: lflag ?? 0 };
}

const onTerminal = {
  inKind: StreamKind.tty,
  outKind: StreamKind.tty,
  errKind: StreamKind.tty,
  termios: wire(),
};

const mixtures: [string, Partial<RunSpec>, number][] = [
  ['stdout alone', { ...onTerminal, inKind: StreamKind.devNull, errKind: StreamKind.pipe }, 1],
  ['stderr alone', { ...onTerminal, inKind: StreamKind.devNull, outKind: StreamKind.pipe }, 2],
  ['both', { ...onTerminal, inKind: StreamKind.devNull }, 1],
];

describe.each(Object.entries(SandboxMethod))('with method %s', (_name, method) => {
  const start = (script: string, changes: Partial<RunSpec> = {}, env = {}): RunJob =>
    new RunJob({ binary, spec: specOf(script, { method, ...onTerminal, ...changes }), ...env });

  test.each(mixtures)(
    '%s on a terminal loses no byte in 60 of 60 runs',
    async (_what, kinds, fd) => {
      const wanted = `${Array.from({ length: 400 }, (_, i) => `line ${i + 1} of the output\n`).join('')}end`;
      for (let run = 0; run < 60; run++) {
        const job = start(
          `exec awk 'BEGIN { for (i = 1; i <= 400; i++) print "line " i " of the output"; printf "end" }' >&${fd}`,
          kinds,
        );
        expect(await job.code()).toBe(0);
        expect(job.text(3)).toBe(wanted);
        expect(job.text(1) + job.text(2)).toBe('');
      }
    },
  );

  test('each stream is a terminal or not by itself', async () => {
    const script =
      'for fd in 0 1 2; do test -t $fd && echo $fd; done > /dev/null; (test -t 0 && echo 0; test -t 2 && echo 2) >&2; true';
    const job = start(script, { inKind: StreamKind.pipe, outKind: StreamKind.pipe });
    expect(await job.code()).toBe(0);
    expect(job.text(3)).toBe('2\n');
    const all = start(
      'test -t 0 && test -t 1 && test -t 2 && tty && stty size && echo x > /dev/tty',
    );
    expect(await all.code()).toBe(0);
    expect(all.text(3)).toMatch(/^\/dev\/pts\/\d+\n40 100\nx\n$/);
  });

  test('output is not changed: no carriage return, bytes of every value', async () => {
    const script = `printf 'a\\nb\\n'; i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %o $i)"; i=$((i+1)); done`;
    const job = start(script, { inKind: StreamKind.devNull });
    expect(await job.code()).toBe(0);
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    expect(job.out(3).equals(Buffer.concat([bytes('a\nb\n'), all]))).toBe(true);
  });

  test('a tool sees the modes of the caller, but for what changes output', async () => {
    const job = start('stty -a');
    expect(await job.code()).toBe(0);
    const shown = job.text(3);
    for (const mode of [' icanon', ' echo', '\nopost', '\nisig', '-onlcr', '-tostop'])
      expect(shown).toContain(mode);
  });

  test('a line is asked for when the tool reads, after its prompt, and not echoed', async () => {
    const job = start('printf "name? "; read name; echo "hello $name"; read b; echo "and $b"');
    await job.first('ttyWant');
    expect(job.text(3)).toBe('name? ');
    job.send({ type: 'ttyInput', data: bytes('ada\n') });
    await job.first('ttyWant', 2);
    expect(job.text(3)).toBe('name? hello ada\n');
    job.send({ type: 'ttyInput', data: bytes('bob\n') });
    expect(await job.code()).toBe(0);
    expect(job.text(3)).toBe('name? hello ada\nand bob\n');
    expect(job.of('ttyWant')).toHaveLength(2);
    expect(job.of('stopped')).toEqual([]);
  });

  test('a tool that does not read asks for nothing', async () => {
    const job = start('echo working; sleep 0.1; echo done');
    expect(await job.code()).toBe(0);
    expect(job.of('ttyWant')).toEqual([]);
    expect(job.of('ttyModes')).toEqual([]);
  });

  test('a reader that goes on reading asks for each line, until the end of input', async () => {
    const job = start('cat');
    for (const line of ['one', 'two', 'three']) {
      await job.first('ttyWant', ['one', 'two', 'three'].indexOf(line) + 1);
      job.send({ type: 'ttyInput', data: bytes(`${line}\n`) });
    }
    await job.first('ttyWant', 4);
    job.send({ type: 'ttyInput', data: Buffer.alloc(0) });
    expect(await job.code()).toBe(0);
    expect(job.text(3)).toBe('one\ntwo\nthree\n');
  });

  test('a line without its end, several lines at once, and quoted characters arrive as typed', async () => {
    const job = start('cat | od -An -c');
    await job.first('ttyWant');
    job.send({ type: 'ttyInput', data: Buffer.from('a\nb\nc\x03\x04\x7fd', 'latin1') });
    await job.first('ttyWant', 2);
    job.send({ type: 'ttyInput', data: Buffer.alloc(0) });
    expect(await job.code()).toBe(0);
    expect(job.text(3).trim().replace(/\s+/g, ' ')).toBe('a \\n b \\n c 003 004 177 d');
  });

  test('a password is asked for with the echo off, told before the line is wanted', async () => {
    const script = [
      'import termios, sys, os',
      'old = termios.tcgetattr(0); new = list(old); new[3] &= ~termios.ECHO',
      'termios.tcsetattr(0, termios.TCSAFLUSH, new)',
      'sys.stdout.write("Password: "); sys.stdout.flush()',
      'line = sys.stdin.readline()',
      'termios.tcsetattr(0, termios.TCSAFLUSH, old)',
      'print("\\ngot", repr(line))',
    ].join('\n');
    const job = start('', {
      tool: bytes('/usr/bin/python3'),
      argv: ['python3', '-c', script].map(bytes),
    });
    await job.first('ttyWant');
    const hidden = await job.first('ttyModes');
    expect(job.messages.findIndex((m) => m.type === 'ttyModes')).toBeLessThan(
      job.messages.findIndex((m) => m.type === 'ttyWant'),
    );
    expect(modesOf(hidden)).toEqual({ ...modes, lflag: modes.lflag & ~ECHO });
    expect(job.text(3)).toBe('Password: ');
    job.send({ type: 'ttyInput', data: bytes('secret\n') });
    const restored = await job.first('ttyModes', 2);
    expect(modesOf(restored)).toEqual(modes);
    expect(await job.code()).toBe(0);
    expect(job.text(3)).toBe("Password: \ngot 'secret\\n'\n");
  });

  test('raw modes are told as the tool set them, its output changes included', async () => {
    const job = start(
      'stty raw -echo; printf key:; key=$(dd bs=1 count=1 2>/dev/null); stty sane; sleep 0.1; echo "<$key>"',
    );
    await job.first('ttyWant');
    const raw = modesOf(job.of('ttyModes').at(-1) ?? (await job.first('ttyModes')));
    expect(raw.lflag & (ICANON | ECHO)).toBe(0);
    expect(raw.oflag & OPOST).toBe(0);
    job.send({ type: 'ttyInput', data: bytes('q') });
    expect(await job.code()).toBe(0);
    const sane = modesOf(job.of('ttyModes').at(-1) ?? (await job.first('ttyModes')));
    expect(sane.oflag & (OPOST | ONLCR)).toBe(OPOST | ONLCR);
    expect(sane.lflag & (ICANON | ECHO)).toBe(ICANON | ECHO);
    expect(job.text(3)).toBe('key:<q>\n');
  });

  test('a change of size reaches the tool', async () => {
    const job = start('trap "stty size; exit" WINCH; echo ready; while :; do sleep 0.02; done');
    await job.until(() => job.text(3).includes('ready'));
    job.send({ type: 'resize', rows: 50, cols: 132, xpixel: 0, ypixel: 0 });
    expect(await job.code()).toBe(0);
    expect(job.text(3)).toBe('ready\n50 132\n');
  });

  test('a signal ends a tool that waits for its terminal', async () => {
    const job = start('read x; echo never');
    await job.first('ttyWant');
    job.send({ type: 'signal', signo: 2 });
    expect(await job.end()).toMatchObject({ type: 'exit', kind: 1, value: 2 });
  });

  test('a handler that survives the signal is asked for its line again', async () => {
    const job = start('trap "echo caught" INT; until read x; do :; done; echo "<$x>"', {
      tool: bytes('/bin/bash'),
    });
    await job.first('ttyWant');
    job.send({ type: 'signal', signo: 2 });
    await job.first('ttyWant', 2);
    job.send({ type: 'ttyInput', data: bytes('on\n') });
    expect(await job.code()).toBe(0);
    expect(job.text(3)).toBe('caught\n<on>\n');
  });

  test('Ctrl-Z is told, also while a line is wanted, and SIGCONT undoes it', async () => {
    const job = start('read x; echo "<$x>"');
    await job.first('ttyWant');
    job.send({ type: 'signal', signo: 20 });
    expect((await job.first('stopped')).signo).toBe(20);
    job.send({ type: 'signal', signo: 18 });
    await job.first('ttyWant', 2);
    job.send({ type: 'ttyInput', data: bytes('on\n') });
    expect(await job.code()).toBe(0);
    expect(job.text(3)).toBe('<on>\n');
  });

  test('a tool that starts children right after a line is not held up', async () => {
    const job = start('while read x; do /bin/true; /bin/true; echo "$x"; done');
    for (let i = 1; i <= 100; i++) {
      await job.first('ttyWant', i);
      job.send({ type: 'ttyInput', data: bytes(`line ${i}\n`) });
    }
    await job.first('ttyWant', 101);
    job.send({ type: 'ttyInput', data: Buffer.alloc(0) });
    expect(await job.code()).toBe(0);
    expect(job.text(3)).toBe(Array.from({ length: 100 }, (_, i) => `line ${i + 1}\n`).join(''));
    expect(job.of('stopped')).toEqual([]);
  });

  test('a child of the tool may be the one that reads', async () => {
    const job = start('sh -c "read x; echo child \\$x"; cat');
    await job.first('ttyWant');
    job.send({ type: 'ttyInput', data: bytes('line\n') });
    await job.first('ttyWant', 2);
    job.send({ type: 'ttyInput', data: Buffer.alloc(0) });
    expect(await job.code()).toBe(0);
    expect(job.text(3)).toBe('child line\n');
  });

  test('a shell that edits its line itself reads it key by key', async () => {
    const job = start('', {
      tool: bytes('/bin/bash'),
      argv: ['bash', '-c', 'read -e -p "> " line; echo "<$line>"'].map(bytes),
    });
    let asked = 0;
    for (const key of 'key\r') {
      asked += 1;
      await job.first('ttyWant', asked);
      job.send({ type: 'ttyInput', data: bytes(key) });
    }
    expect(await job.code()).toBe(0);
    expect(job.text(3)).toContain('<key>\n');
  });

  test('a background process that keeps the terminal does not hold up the exit for long', async () => {
    const kept = start('setsid sleep 1000 & echo first');
    expect(await kept.code()).toBe(0);
    expect(kept.text(3)).toBe('first\n');
    // Its last words are heard, and one that does not keep it is not waited for: these would wait for long.
    const late = start('setsid sh -c "sleep 0.1; echo late" & echo first', {}, { binary: patient });
    expect(await late.code()).toBe(0);
    expect(late.text(3)).toBe('first\nlate\n');
    const idle = 'setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo first';
    expect(await start(idle, {}, { binary: patient }).code()).toBe(0);
  });

  test('an unread terminal holds the tool back', async () => {
    const job = new RunJob({
      binary,
      credit: false,
      spec: specOf('exec yes', { method, ...onTerminal, window: 50_000 }),
    });
    await job.until(() => job.out(3).length === 50_000);
    job.send({ type: 'kill' });
    await job.gone();
    expect(job.out(3).length).toBe(50_000);
  });
});
