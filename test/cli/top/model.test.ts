import { createColors } from 'picocolors';
import { describe, expect, it } from 'vitest';
import { TerminalText } from '../../../src/base/terminal-text.ts';
import { keysIn } from '../../../src/cli/top/keys.ts';
import {
  firstModel,
  pressed,
  selectedItem,
  type Act,
  type Model,
} from '../../../src/cli/top/model.ts';
import { widthOf } from '../../../src/cli/top/paint.ts';
import { screenOf } from '../../../src/cli/top/view.ts';
import type { HistoryRecord } from '../../../src/protocol/methods.ts';
import { nothingWatched, type Watched, type WatchedWorker } from '../../../src/protocol/watch.ts';

const worker = (id: string, more: Partial<WatchedWorker> = {}): WatchedWorker => ({
  ...{ id, transport: 'ssh', host: '203.0.113.20', state: 'connected', health: 'healthy' },
  ...{ mandate: 'enabled', troubles: [], load: 1.25, reason: '', next: '', since: 0 },
  ...{ slots: { total: 32, used: 8 }, jobs: 1, priority: 100, tags: [], breaker: 'closed' },
  ...{ clockOffsetMs: 0.1, roundTripMs: 0.4, speed: 87.3, machine: null },
  ...more,
});
const record = (id: string, command: string): HistoryRecord => ({
  ...{ id, command, argv: [command], cwd: '/home/me/app', decision: 'remote', reason: 'worth it' },
  ...{ worker: 'css', exit: 0, signal: null, phases: { run: 900, total: 1000 } },
  ...{ bytes: { sent: 1, received: 2, output: 3 }, startedAt: '2026-11-23T02:07:57.833Z' },
  ...{ tool: 'cargo', conflicts: [] },
});
const watched: Watched = {
  ...nothingWatched,
  daemon: { version: '1.2.3', pid: 7, startedAt: 1000, enabled: true, problems: [] },
  workers: [worker('css'), worker('csd', { health: 'draining', mandate: 'draining', jobs: 0 })],
  jobs: [
    {
      ...{
        id: 'a1b2c3d4e5f6',
        worker: 'css',
        command: 'cargo build --release',
        cwd: '/home/me/app',
      },
      ...{ phase: 'running', since: 1000, reason: 'worth it', slots: 4, caller: 'bash' },
      steps: [
        { phase: 'planned', since: 1000 },
        { phase: 'running', since: 2000 },
      ],
    },
  ],
  local: {
    ...{ limit: 8, used: 2 },
    leases: [
      { id: 'f00d', pid: 9, command: 'make', cwd: '/src', since: 1000, cores: 2, caller: 'zsh' },
    ],
  },
  queue: [
    {
      ...{ id: 'beef', place: 1, for: ['css'], caller: 'nightly', priority: 'low', cores: 4 },
      ...{ pid: 10, command: 'make -j8', cwd: '/src', since: 1000 },
    },
  ],
  counts: { remote: 12, local: 34, returned: 0, lost: 1 },
  records: [record('r1', 'cargo test'), record('r2', 'cc -c a.c')],
};
const model: Model = { ...firstModel, watched };

function after(from: Model, ...keys: readonly string[]): { model: Model; act: Act | undefined } {
  let now = from;
  let act: Act | undefined;
  for (const key of keys) {
    const step = pressed(now, key);
    now = step.model;
    act = step.act;
  }
  return { model: now, act };
}

describe('keys of rch top', () => {
  it('are told apart as terminals send them', () => {
    expect(keysIn('\u001b[A\u001bOBjq\u001b[5~\r\u007f\u0003\u001b[1;5Pé')).toEqual([
      'up',
      'down',
      'j',
      'q',
      'pageup',
      'enter',
      'backspace',
      'ctrl-c',
      'é',
    ]);
    expect(keysIn('\u001b')).toEqual(['esc']);
  });

  it('move the selection, and by sections', () => {
    const keyAfter = (...keys: string[]): string => after(model, ...keys).model.selected.key;
    expect(keyAfter('down')).toBe('worker csd');
    expect(keyAfter('down', 'up', 'up')).toBe('worker css');
    expect(keyAfter('tab')).toBe('a1b2c3d4e5f6');
    expect(keyAfter('tab', 'tab', 'tab', 'tab')).toBe('record r1');
    expect(keyAfter('backtab')).toBe('record r1');
    expect(keyAfter('G')).toBe('record r2');
    expect(keyAfter('end', 'home')).toBe('worker css');
  });

  it('cancel and drain only what is there to be, and only after a yes', () => {
    expect(after(model, 'c').model.message).toContain('select a command');
    const asked = after(model, 'tab', 'c');
    expect(asked.act).toBeUndefined();
    expect(asked.model.mode).toMatchObject({ at: 'confirm', order: { job: 'a1b2c3d4e5f6' } });
    expect(after(asked.model, 'x').model.mode.at).toBe('confirm');
    expect(after(asked.model, 'n')).toMatchObject({
      act: undefined,
      model: { mode: { at: 'list' } },
    });
    expect(after(asked.model, 'y').act).toMatchObject({ kind: 'cancel', job: 'a1b2c3d4e5f6' });
    expect(after(model, 'tab', 'd', 'y').act).toMatchObject({ worker: 'css', mandate: 'draining' });
    expect(after(model, 'down', 'd', 'y').act).toMatchObject({ worker: 'csd', mandate: 'enabled' });
    expect(after(model, 'G', 'd').model.message).toContain('select a worker');
    expect(after(model, 'tab', 'tab', 'c', 'y').act).toMatchObject({ job: 'f00d' });
    expect(after(model, 'tab', 'tab', 'tab', 'c', 'y').act).toMatchObject({ job: 'beef' });
  });

  it('filter, explain, and end', () => {
    const typed = after(model, '/', 'm', 'a', 'k', 'q', 'backspace', 'e', 'enter').model;
    expect(typed.filter).toBe('make');
    expect(selectedItem(typed)?.kind).toBe('lease');
    expect(after(typed, 'esc').model.filter).toBe('');
    expect(after(model, 'G', 'enter').act).toEqual({ kind: 'why', job: 'r2' });
    expect(after(model, 'tab', 'w').act).toMatchObject({ kind: 'why', job: 'a1b2c3d4e5f6' });
    expect(after(model, 'tab', 'enter', 'q').model.mode.at).toBe('list');
    expect(after(model, 'q').act).toEqual({ kind: 'quit' });
    for (const at of [model, after(model, '?').model, after(model, '/').model])
      expect(after(at, 'ctrl-c').act).toEqual({ kind: 'quit' });
  });

  it('leave the selection where it was when its thing goes', () => {
    const on = after(model, 'tab').model;
    const gone = { ...on, watched: { ...watched, jobs: [] } };
    expect(selectedItem(gone)?.kind).toBe('lease');
    expect(selectedItem({ ...model, watched: nothingWatched })).toBeUndefined();
  });
});

describe('the screen of rch top', () => {
  const written = new TerminalText(100);
  written.write('\u001b[32m   Compiling\u001b[0m app v0.1.0\n'.repeat(40));
  written.write('日本語 '.repeat(60));
  const outputs = new Map([['a1b2c3d4e5f6', written]]);
  const plain = createColors(false);
  const screen = (of: Model, columns: number, rows: number, unicode = true): string[] => {
    const paper = { colors: plain, unicode, columns, rows };
    return screenOf({ model: of, paper, now: 65_000, outputs });
  };

  it.each([
    [80, 24],
    [40, 8],
    [200, 60],
    [10, 3],
  ])('is never larger than a window of %i x %i, whatever it shows', (columns, rows) => {
    const modes: readonly (readonly string[])[] = [
      ...[[], ['tab'], ['tab', 'enter'], ['tab', 'enter', 'up', 'up'], ['?'], ['/', 'x']],
      ...[['tab', 'c'], ['down', 'd'], ['G'], ['tab', 'tab'], ['tab', 'tab', 'tab']],
    ];
    for (const keys of modes)
      for (const of of [after(model, ...keys).model, { ...model, live: false }]) {
        const lines = screen(of, columns, rows);
        expect(lines.length).toBeLessThanOrEqual(rows);
        for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(columns);
      }
  });

  it('shows workers, what runs here and there, waits and ended, and more on what is selected', () => {
    const text = screen(after(model, 'tab').model, 80, 40).join('\n');
    expect(text).toContain(
      'rch 1.2.3 up 1m 04s  1 on workers, 1 here, 1 waiting  so far 12 there, 34 here',
    );
    expect(text).toMatch(/css +healthy +█+░+ 8\/32 +1 job, load 1.3/);
    expect(text).toMatch(/> a1b2c3d4 css +running +1m 04s cargo build --release/);
    expect(text).toMatch(/f00d +here +running/);
    expect(text).toMatch(/beef +place 1 +waiting/);
    expect(text).toMatch(/r1 +css +exit 0 +1.0 s cargo test/);
    expect(text).toContain('preparing 1.0 s, running 1m 03s');
    expect(text).toContain('   Compiling app v0.1.0');
    expect(screen(after(model, 'tab', 'c').model, 80, 24).at(-1)).toBe(
      'cancel cargo build --release? (y/n)',
    );
  });

  it('does with ASCII where the terminal has no more, and says when there is no daemon', () => {
    const text = screen({ ...model, live: false }, 80, 24, false).join('\n');
    expect(text).toMatch(/#+\.+ 8\/32/);
    expect(text).toContain('the daemon is gone');
    expect(text).not.toMatch(/[█░─…]/);
  });
});
