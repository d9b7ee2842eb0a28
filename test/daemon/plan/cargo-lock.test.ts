import { expect, test } from 'vitest';
import { readCargoConfig } from '../../../daemon/plan/cargo-config.ts';
import { lockFiles, lockText } from '../../../daemon/plan/cargo-lock.ts';
import { folderWith } from './world.ts';

test('the lock file may lie where option, environment or configuration say, beside the workspace’s own', () => {
  const top = folderWith({
    'p/.cargo/config.toml': '[resolver]\nlockfile-path = "locks/Cargo.lock"\n',
    'p/Cargo.lock': 'one',
    'p/locks/Cargo.lock': 'two',
    'q/x': '',
  });
  const root = `${top}/p`;
  const configOf = (given: readonly string[] = []) =>
    readCargoConfig(root, `${top}/home`, () => undefined, given);
  const request = (env: Readonly<Record<string, string>>) => ({
    env: new Map(Object.entries(env)),
    cwd: `${top}/q`,
  });
  const none = { lockfilePath: undefined };
  const files = lockFiles(request({}), none, configOf(), root);
  expect(files).toEqual([`${root}/Cargo.lock`, `${root}/locks/Cargo.lock`]);
  expect(lockText(files)).toBe('one\ntwo');
  expect(lockText([`${root}/none`, `${top}/none`])).toBe('');
  const template = ['resolver.lockfile-path = "{workspace-root}/a/Cargo.lock"'];
  expect(lockFiles(request({}), none, configOf(template), root)[1]).toBe(`${root}/a/Cargo.lock`);
  const env = { CARGO_RESOLVER_LOCKFILE_PATH: 'e/Cargo.lock' };
  expect(lockFiles(request(env), { lockfilePath: 'o/Cargo.lock' }, configOf(), root)).toEqual([
    `${root}/Cargo.lock`,
    `${top}/q/o/Cargo.lock`,
    `${top}/q/e/Cargo.lock`,
    `${root}/locks/Cargo.lock`,
  ]);
});
