import { expect, it } from 'vitest';
import { dryRunBox, type DryRun } from '../../../daemon/front/dry-run.ts';
import type { LocalDecision } from '../../../daemon/front/decision.ts';
import { StreamKind } from '../../../src/protocol/shim.ts';
import { question } from './rig.ts';

const long = 'a reason that goes on '.repeat(8).trim();
const local = (reason: string): LocalDecision => ({
  kind: 'local',
  reason,
  weight: 'light',
  subject: undefined,
  details: null,
});

function box(
  more: {
    cols?: number;
    tty?: boolean;
    env?: Record<string, string>;
    argv?: string[];
    reason?: string;
  } = {},
): string[] {
  const { cols = 0, tty = false, env = {}, argv = ['make'], reason = 'because' } = more;
  const ask = question(
    { argv, pid: 1, env: {}, cwd: '/' },
    { cols, errKind: tty ? StreamKind.tty : StreamKind.pipe },
  );
  const dry: DryRun = {
    ask: { ...ask, type: 'ask' },
    env: new Map(Object.entries(env)),
    decision: local(reason),
    slots: undefined,
  };
  return dryRunBox(dry).split('\n').slice(0, -1);
}

const escape = String.fromCharCode(27);
const plain = (text: string): string => text.replaceAll(new RegExp(`${escape}\\[\\d+m`, 'g'), '');

it('is 80 columns wide without a terminal, and plain', () => {
  const lines = box();
  expect(lines).toEqual([
    `╭─ RCH DRY RUN ${'─'.repeat(64)}╮`,
    '│ Command:    make',
    '│ Decision:   PASS THROUGH',
    '│ Reason:     because',
    '│ (Running locally - dry run mode)',
    `╰${'─'.repeat(78)}╯`,
  ]);
});

it('fits the terminal, and breaks long text at spaces', () => {
  for (const cols of [200, 80, 57, 30]) {
    const lines = box({ cols, reason: long });
    expect(lines[0]?.length).toBe(Math.min(80, cols));
    for (const line of lines.slice(1, -2))
      expect(line.length).toBeLessThanOrEqual(Math.min(80, cols));
  }
  const reason = box({ cols: 80, reason: long }).slice(3, -2);
  expect(reason.map((line) => line.slice(14)).join(' ')).toBe(long);
});

it('has colours on a terminal, but not with NO_COLOR or a dumb one', () => {
  const env = { TERM: 'xterm' };
  const colored = box({ tty: true, cols: 80, env });
  expect(colored[2]).toContain(`${escape}[33mPASS THROUGH${escape}[0m`);
  expect(colored.map(plain)).toEqual(box());
  for (const other of [{ ...env, NO_COLOR: '1' }, { TERM: 'dumb' }, {}])
    expect(box({ tty: true, cols: 80, env: other })).toEqual(box());
  expect(box({ env })).toEqual(box());
});

it('shows control characters instead of sending them, and stays below what a launcher prints', () => {
  const lines = box({ argv: ['make', `x${escape}[2Jy`, 'z'.repeat(100_000)] });
  expect(lines.join('\n')).not.toContain(escape);
  expect(lines[1]).toContain('\\x1b[2J');
  expect(Buffer.byteLength(lines.join('\n'))).toBeLessThan(4096);
});
