import { expect, it } from 'vitest';
import { readCargoConfig, type CargoConfig } from '../../../daemon/plan/cargo-config.ts';
import { folderWith } from './world.ts';

/** Of files below a new folder, as it holds for `at`; what is expected here cargo 1.95 was seen to do. */
function configOf(
  files: Readonly<Record<string, string>>,
  given: readonly string[] = [],
  at = '/near',
): { config: CargoConfig; top: string; env: (name: string) => unknown } {
  const top = folderWith({ 'near/x': '', ...files });
  const config = readCargoConfig(`${top}${at}`, `${top}/home`, () => undefined, given);
  const env = (name: string): unknown => {
    const found = config.env.find((each) => each.name === name);
    return found === undefined ? undefined : { value: found.value, force: found.force };
  };
  return { config, top, env };
}

const above = '.cargo/config.toml';
const near = 'near/.cargo/config.toml';

it('merges tables key by key, with paths relative to the nearest file that names a table', () => {
  const { top, env } = configOf({
    [above]: `[env]
      FOO = { value = "far/x", relative = true }
      BAR = { value = "far/x", relative = true }
      BAZ = { value = "far", force = true }
      QUX = "far"`,
    [near]: `[env]\nFOO = { value = "near/y" }\nBAR = { force = true }\nBAZ = { value = "near" }`,
  });
  expect(env('FOO')).toEqual({ value: `${top}/near/near/y`, force: false });
  expect(env('BAR')).toEqual({ value: `${top}/near/far/x`, force: true });
  expect(env('BAZ')).toEqual({ value: 'near', force: true });
  expect(env('QUX')).toEqual({ value: 'far', force: false });
});

it('takes what --config says over all, the last most, with the folder of the file that names a table', () => {
  const { top, env } = configOf({ [above]: '[env]\nFOO = { value = "x", relative = true }' }, [
    'env.FOO.value="no"',
    'env.FOO.value="given"',
    'env.NEW.value="n"',
    'env.NEW.relative=true',
  ]);
  expect(env('FOO')).toEqual({ value: `${top}/given`, force: false });
  expect(env('NEW')).toEqual({ value: `${top}/near/n`, force: false });
});

it('includes files: later ones over earlier ones, the file itself over all', () => {
  const { top, env, config } = configOf({
    [near]:
      'include = ["a.toml", "../../b.toml", { path = "none.toml", optional = true }]\n[env]\nC = "own"',
    'near/.cargo/a.toml': '[env]\nA = { value = "one", relative = true }\nC = "a"',
    'b.toml': '[env]\nA = { value = "two" }\nB = { value = "é", relative = true }\nC = "b"',
  });
  expect(env('A')).toEqual({ value: `${top}/near/two`, force: false });
  expect(env('B')).toEqual({ value: `${top}/near/\xc3\xa9`, force: false });
  expect(env('C')).toEqual({ value: 'own', force: false });
  expect(config.files).toEqual(
    [near, 'near/.cargo/a.toml', 'b.toml'].map((name) => `${top}/${name}`),
  );
  expect(config.broken).toBeUndefined();
});

it('takes the nearest program and the nearest text, and joins lists', () => {
  const { top, config } = configOf({
    'home/config.toml':
      '[build]\nrustflags = ["--cfg", "home"]\ntarget = "far"\n[target.x]\nlinker = "far/ld"\nrunner = ["far", "-x"]',
    [near]:
      '[build]\nrustflags = ["--cfg", "near"]\ntarget = "near"\n[target.x]\nlinker = "tools/ld"\nrunner = ["run", "-y"]',
  });
  expect(config.programs).toEqual([
    { key: 'target.x.linker', path: `${top}/near/tools/ld` },
    { key: 'target.x.runner', path: 'run' },
  ]);
  expect(config.targets).toEqual(['near']);
  expect(config.flags).toBe('--cfg home --cfg near');
});
