/** The hook's reader of JSON against JSON.parse, under sanitizers, and the shell against the line it makes. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile } from './build.ts';

const shims = '/home/it\'s me/é "x"\\y/shims';
const prefix = `export PATH='${shims.replaceAll("'", "'\\''")}':"$PATH"; `;

/** What the hook would say to each input, the daemon willing; undefined where it is silent. */
function answers(
  inputs: readonly Buffer[],
  agent = 'claude',
  folder = shims,
): (string | undefined)[] {
  const program = compile('test/shims/hook-cases.c', 'sanitized');
  const frames = inputs.flatMap((input) => {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(input.length);
    return [head, input];
  });
  const out = execFileSync(program, [agent, folder], {
    input: Buffer.concat(frames),
    maxBuffer: 1 << 28,
  });
  const found: (string | undefined)[] = [];
  for (let at = 0; at < out.length;) {
    const length = out.readUInt32LE(at);
    found.push(length === 0 ? undefined : out.toString('utf8', at + 4, at + 4 + length));
    at += 4 + length;
  }
  expect(found).toHaveLength(inputs.length);
  return found;
}

const answer = (input: string | Buffer, agent = 'claude'): string | undefined =>
  answers([Buffer.from(input)], agent)[0];

const call = (command: string, rest: object = {}): string =>
  JSON.stringify({ session_id: 's', tool_name: 'Bash', tool_input: { command, ...rest } });

beforeAll(() => {
  compile('test/shims/hook-cases.c', 'sanitized');
});

describe('the answer of the hook', () => {
  it('keeps every other field of the tool input to the byte', () => {
    const input =
      '{ "timeout" : 1.20e+05, "command":\t"cargo \\u0062uild \\/ \\ud83d\\ude00", "n":-0,\r\n' +
      ' "big":12345678901234567890, "description":"caf\\u00e9 é", "deep":{"command":"make","a":[1,{}]},' +
      ' "run_in_background":false , "unknown":null}';
    const got = answer(`{"tool_name":"Bash","tool_input":${input},"session_id":"x"}\n`);
    const changed = input.replace('"cargo', `${JSON.stringify(prefix).slice(0, -1)}cargo`);
    expect(got).toBe(
      `{"hookSpecificOutput":{"hookEventName":"PreToolUse","updatedInput":${changed}}}\n`,
    );
  });

  it('gives no permission: the changed call goes through the rules of the user', () => {
    expect(answer(call('make'))).not.toContain('permission');
    expect(Object.keys(JSON.parse(answer(call('make')) ?? '') as object)).toEqual([
      'hookSpecificOutput',
    ]);
  });

  it('speaks as Gemini CLI expects it where Gemini CLI asks', () => {
    const input =
      '{"hook_event_name":"BeforeTool","tool_name":"run_shell_command","tool_input":{"command":"make","dir_path":"x"}}';
    expect(JSON.parse(answer(input, 'gemini') ?? '')).toEqual({
      hookSpecificOutput: {
        hookEventName: 'BeforeTool',
        tool_input: { command: `${prefix}make`, dir_path: 'x' },
      },
    });
    expect(answer(input)).toBeUndefined();
  });

  it.each([
    ['nothing', ''],
    ['no object', '["Bash"]'],
    ['a cut text', call('make').slice(0, -1)],
    ['something after it', `${call('make')}x`],
    ['another tool', call('make').replace('Bash', 'Read')],
    [
      'another event',
      '{"hook_event_name":"PostToolUse","tool_name":"Bash","tool_input":{"command":"make"}}',
    ],
    ['no command', '{"tool_name":"Bash","tool_input":{"cmd":"make"}}'],
    ['a command that is no string', '{"tool_name":"Bash","tool_input":{"command":["make"]}}'],
    ['input that is no object', '{"tool_name":"Bash","tool_input":"make"}'],
    ['two commands', '{"tool_name":"Bash","tool_input":{"command":"make","\\u0063ommand":"ls"}}'],
    [
      'two inputs',
      '{"tool_name":"Bash","tool_input":{"command":"make"},"tool_input":{"command":"ls"}}',
    ],
    ['a raw control character', call('make').replace('make', 'ma\nke')],
    ['a trailing comma', call('make').replace('}}', ',}}')],
    ['a comment', `/* x */${call('make')}`],
    ['a byte order mark', `\ufeff${call('make')}`],
    ['a number with a leading zero', call('make', { a: 1 }).replace(':1}', ':01}')],
    ['a bad escape', call('make').replace('make', 'ma\\x')],
    ['half an escape', '{"tool_name":"Bash","tool_input":{"command":"\\u00'],
    ['a thousand levels', `{"a":${'['.repeat(1000)}${']'.repeat(1000)},${call('make').slice(1)}`],
  ])('is none to %s', (_, input) => {
    expect(answer(input)).toBeUndefined();
  });

  it('is none to text that is not UTF-8', () => {
    const bad = ['ff', 'c080', 'eda080', 'f4908080', 'e28280'.slice(0, 4), '80'];
    const inputs = bad.map((hex) => {
      const [before, after] = call('make @').split('@');
      return Buffer.concat([
        Buffer.from(before ?? ''),
        Buffer.from(hex, 'hex'),
        Buffer.from(after ?? ''),
      ]);
    });
    expect(answers(inputs)).toEqual(bad.map(() => undefined));
  });

  it('agrees with JSON.parse on whatever JSON there is', () => {
    const any = fc.json({ maxDepth: 4 });
    const command = fc.string({ unit: 'binary', maxLength: 60 });
    const spaces = fc.constantFrom(undefined, 1, '\t', '\r\n ');
    const calls = fc.sample(fc.tuple(command, any, spaces), { numRuns: 400, seed: 7 });
    const inputs = calls.map(([text, rest, indent]) =>
      JSON.stringify(
        {
          a: JSON.parse(rest) as unknown,
          tool_name: 'Bash',
          tool_input: { z: JSON.parse(rest) as unknown, command: text },
        },
        undefined,
        indent,
      ),
    );
    const got = answers(inputs.map((input) => Buffer.from(input)));
    got.forEach((text, at) => {
      const input = JSON.parse(inputs[at] ?? '') as { tool_input: { command: string } };
      const updatedInput = { ...input.tool_input, command: prefix + input.tool_input.command };
      expect(JSON.parse(text ?? '')).toEqual({
        hookSpecificOutput: { hookEventName: 'PreToolUse', updatedInput },
      });
    });
  });

  it('survives damage of every kind, and what it still accepts JSON.parse accepts too', () => {
    const seeds = [
      call('cargo build 2>&1 | tee log', {
        timeout: 1.5e3,
        description: 'é\u0000\u2028😀',
        a: [true, null, {}],
      }),
      call('\ud800 make \\ "x"').replace('session_id', '\\u0073ession_id'),
    ].map((text) => Buffer.from(text));
    const change = fc.record({
      at: fc.nat(400),
      how: fc.constantFrom('cut', 'set', 'drop', 'insert', 'double'),
      byte: fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('"\\{}[],:u0e-.\n'))),
    });
    const damaged = fc
      .sample(
        fc.tuple(fc.constantFrom(...seeds), fc.array(change, { minLength: 1, maxLength: 3 })),
        {
          numRuns: 6000,
          seed: 11,
        },
      )
      .map(([seed, changes]) => changes.reduce<Buffer>(damage, seed));
    let kept = 0;
    answers(damaged).forEach((text, at) => {
      if (text === undefined) return;
      kept += 1;
      const bytes = damaged[at] ?? Buffer.alloc(0);
      const whole = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
      const input = JSON.parse(whole) as { tool_name: string; tool_input: { command: string } };
      expect(input.tool_name).toBe('Bash');
      const updatedInput = { ...input.tool_input, command: prefix + input.tool_input.command };
      expect(JSON.parse(text)).toEqual({
        hookSpecificOutput: { hookEventName: 'PreToolUse', updatedInput },
      });
    });
    expect(kept).toBeGreaterThan(100);
  });
});

function damage(
  bytes: Buffer,
  { at, how, byte }: { at: number; how: string; byte: number },
): Buffer {
  const place = at % (bytes.length + 1);
  const before = bytes.subarray(0, place);
  const after = bytes.subarray(place);
  switch (how) {
    case 'cut':
      return before;
    case 'set':
      return Buffer.concat([before, Buffer.from([byte]), after.subarray(1)]);
    case 'drop':
      return Buffer.concat([before, after.subarray(1)]);
    case 'insert':
      return Buffer.concat([before, Buffer.from([byte]), after]);
    default:
      return Buffer.concat([before, before.subarray(-7), after]);
  }
}

describe('the line that the hook makes', () => {
  let root: string;
  let folder: string;
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'rch-hook-'));
    folder = join(root, `shims of 'me' $x`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'gcc'), '#!/bin/sh\necho "shim $*"\nexit ${CODE:-0}\n');
    chmodSync(join(folder, 'gcc'), 0o755);
  });
  afterAll(() => {
    rmSync(root, { recursive: true, force: true });
  });

  /** Both lines in a shell: as the agent wrote it, with the shims on PATH; and as the hook made it, without. */
  function both(shell: string, line: string): { wanted: unknown; got: unknown } {
    const text = answers([Buffer.from(call(line))], 'claude', folder)[0] ?? '';
    const made = (JSON.parse(text) as { hookSpecificOutput: { updatedInput: { command: string } } })
      .hookSpecificOutput.updatedInput.command;
    const run = (script: string, path: string): unknown => {
      const { status, signal, stdout, stderr } = spawnSync(shell, ['-c', script], {
        cwd: root,
        env: { PATH: path },
        encoding: 'utf8',
      });
      return {
        status,
        signal,
        stdout,
        stderr: stderr.replaceAll(/\b\d+ Terminated\b/g, 'Terminated'),
      };
    };
    const path = '/usr/bin:/bin';
    return { wanted: run(line, `${folder}:${path}`), got: run(made, path) };
  }

  const lines: readonly string[] = [
    'gcc a && CODE=3 gcc b || gcc c; exit 4',
    'gcc a 2>&1 | tr a-z A-Z > out; cat out',
    'cd / && pwd && gcc "$(pwd)"',
    'set -e\nCODE=5 gcc a\necho not here',
    'set -euo pipefail; CODE=2 gcc | cat; echo not here',
    'f() { gcc "in f: $1"; return 6; }\nf x',
    "cat <<'END' | tr a b\ngcc $x \\\nEND\ngcc after",
    '# only a comment',
    '# a comment first\ngcc x # and last \\',
    'gcc one \\\n  two \\\n  three',
    'gcc last\\',
    'gcc x & wait; echo $?',
    'sleep 0 & gcc y &\nwait',
    '( gcc sub; exit 7 )',
    'for x in 1 2; do gcc $x; done; if gcc t; then echo yes; fi',
    "bash -c 'gcc inner'; env gcc by-env",
    'PATH=/usr/bin:/bin command -v gcc-none; echo $?',
    "printf '%s\\n' '\"quoted\"' \"\\$x\" $'tab\\there'",
    'kill -TERM $$',
    'exec gcc replaced',
    'nosuch-command-here',
    'echo "unended',
    '\n\n  gcc after empty lines\n\n',
    'while read -r l; do gcc "$l"; done <<< "one"',
    'echo é 😀; gcc ü',
    'trap "gcc trapped" EXIT; false',
    '$(echo gcc) expanded',
    'echo $LINENO; \necho $LINENO',
  ];
  it.each(lines)('runs as the agent wrote it: %j', (line) => {
    const { wanted, got } = both('bash', line);
    expect(got).toEqual(wanted);
  });

  it('finds the shims in other shells too', () => {
    for (const shell of ['sh', 'zsh']) {
      const { wanted, got } = both(shell, 'gcc a | cat && CODE=3 gcc b');
      expect(got).toEqual(wanted);
      expect(got).toMatchObject({ status: 3, stdout: 'shim a\nshim b\n' });
    }
  });
});
