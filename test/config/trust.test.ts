import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { layoutFor, trustFile, type Layout } from '../../src/base/layout.ts';
import { loadConfig } from '../../src/config/load.ts';
import { isTrusted, revoke, trust, trustedFiles } from '../../src/config/trust.ts';

let home: string;
let layout: Layout;
let file: string;
const text = '[hooks]\npre_transfer = "./x"\n[execution.env]\nCC = "clang"\n';

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'rch-trust-'));
  layout = layoutFor({ HOME: home });
  mkdirSync(join(home, 'p', '.rch'), { recursive: true });
  file = join(home, 'p', '.rch', 'config.toml');
  writeFileSync(file, text);
});
afterEach(() => {
  rmSync(home, { recursive: true });
});

function config() {
  const loaded = loadConfig(layout, { HOME: home }, join(home, 'p'));
  if (!loaded.ok) throw new Error(loaded.failure.reason);
  return loaded.value.config;
}

it('lets nothing of an untrusted file run or travel, and says which keys wait', () => {
  expect(config().hooks.preTransfer).toBe('');
  expect(config().execution.env).toEqual({});
  expect(config().project.untrusted).toEqual(['execution.env', 'hooks.pre_transfer']);
});

it('lets a trusted file have its effect, until it changes or the trust is taken back', () => {
  expect(trust(layout, file, text).ok).toBe(true);
  expect(config().hooks.preTransfer).toBe('./x');
  expect(config().execution.env).toEqual({ CC: 'clang' });
  expect(config().project.untrusted).toEqual([]);

  writeFileSync(file, text.replace('./x', './y'));
  expect(config().hooks.preTransfer).toBe('');

  writeFileSync(file, text);
  expect(config().hooks.preTransfer).toBe('./x');
  expect(revoke(layout, file)).toEqual({ ok: true, value: true });
  expect(config().hooks.preTransfer).toBe('');
  expect(revoke(layout, file)).toEqual({ ok: true, value: false });
});

it('keeps what restricts without any trust', () => {
  writeFileSync(file, '[workers]\nallowed = ["a"]\npreferred = "a"\nblocked = ["b"]\n');
  const { project } = config();
  expect(project).toMatchObject({ allowedWorkers: ['a'], blockedWorkers: ['b'] });
  expect(project.preferredWorker).toBeUndefined();
});

it('shortens a limit without trust, and lengthens it with it', () => {
  const limit = (ours: number, theirs: number, trusted: boolean): number => {
    const user = join(layout.config, 'config.toml');
    mkdirSync(layout.config, { recursive: true });
    writeFileSync(user, `[execution]\ntimeout_sec = ${ours}\n`);
    const said = `[execution]\ntimeout_sec = ${theirs}\n`;
    writeFileSync(file, said);
    if (trusted) trust(layout, file, said);
    return config().execution.timeoutSec;
  };
  expect(limit(60, 30, false)).toBe(30);
  expect(limit(60, 90, false)).toBe(60);
  expect(limit(60, 0, false)).toBe(60);
  expect(limit(0, 90, false)).toBe(90);
  expect(limit(60, 90, true)).toBe(90);
});

it('trusts a file by where its project is, whatever way leads there', () => {
  trust(layout, file, text);
  symlinkSync(join(home, 'p'), join(home, 'q'));
  expect(isTrusted(layout, join(home, 'q', '.rch', 'config.toml'), text)).toBe(true);
  mkdirSync(join(home, 'r', '.rch'), { recursive: true });
  const other = join(home, 'r', '.rch', 'config.toml');
  writeFileSync(other, text);
  expect(isTrusted(layout, other, text)).toBe(false);
});

it('lends no trust by a link inside another project: not to the file, nor to its folder', () => {
  trust(layout, file, text);
  const foreign = join(home, 'foreign');
  mkdirSync(foreign);
  symlinkSync(join(home, 'p', '.rch'), join(foreign, '.rch'));
  const loaded = loadConfig(layout, { HOME: home }, foreign);
  expect(loaded).toMatchObject({ ok: true, value: { config: { hooks: { preTransfer: '' } } } });
  rmSync(join(foreign, '.rch'));
  mkdirSync(join(foreign, '.rch'));
  symlinkSync(file, join(foreign, '.rch', 'config.toml'));
  const linked = loadConfig(layout, { HOME: home }, foreign);
  expect(linked.ok ? '' : linked.failure.reason).toContain('it is a symbolic link');
});

it.each(['a pipe', 'a folder', 'a file without end'])('refuses %s in place of a file', (kind) => {
  rmSync(file);
  if (kind === 'a pipe') execFileSync('mkfifo', [file]);
  else if (kind === 'a folder') mkdirSync(file);
  else {
    writeFileSync(file, '');
    truncateSync(file, 2 ** 40);
  }
  const loaded = loadConfig(layout, { HOME: home }, join(home, 'p'));
  expect(loaded.ok ? '' : loaded.failure.reason).toMatch(/it is not a regular file|of at most/);
});

it('trusts nothing when its own file is damaged, and keeps that file to the user', () => {
  trust(layout, file, text);
  expect(statSync(trustFile(layout)).mode & 0o777).toBe(0o600);
  writeFileSync(trustFile(layout), '{"files": [');
  expect(trustedFiles(layout)).toEqual([]);
  expect(config().hooks.preTransfer).toBe('');
});
