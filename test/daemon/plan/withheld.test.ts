import { describe, expect, it } from 'vitest';
import { folderWith, has, newContext, planOf, put, reasonOf } from './world.ts';

const secret = { MY_TOKEN: 'do not tell' };
const reads = 'the build reads the variable MY_TOKEN, which is not given to a worker';
const recipe = (line: string): Record<string, string> => ({ Makefile: `all:\n\t${line}\n` });
const ninja = (line: string): Record<string, string> => ({
  'build.ninja': `rule r\n  command = ${line}\nbuild x: r\n`,
});

describe.skipIf(!has('make') || !has('ninja'))('a variable that stays here', () => {
  it.each<[string, Record<string, string>]>([
    ['make', recipe('echo $(MY_TOKEN)')],
    ['make', recipe('echo ${MY_TOKEN}')],
    ['make', recipe('echo $$MY_TOKEN')],
    ['make', recipe('echo "$${MY_TOKEN:-none}"')],
    ['make', recipe('printenv MY_TOKEN')],
    ['make', recipe(`perl -e 'print $$ENV{MY_TOKEN}'`)],
    ['make', recipe(`awk 'BEGIN { print ENVIRON["MY_TOKEN"] }'`)],
    ['make', { Makefile: 'H = -H $(MY_TOKEN)\nall:\n\techo $(H)\n' }],
    ['make', { Makefile: 'MY_TOKEN ?= none\nall:\n\techo $(MY_TOKEN)\n' }],
    ['make', { Makefile: 'X := $(shell echo $$MY_TOKEN)\nall:\n\ttrue\n' }],
    ['make', { Makefile: 'X != echo $$MY_TOKEN\nall:\n\ttrue\n' }],
    ['make', { Makefile: 'ifdef MY_TOKEN\nX = 1\nendif\nall:\n\ttrue\n' }],
    ['make', { Makefile: 'ifneq ($(MY_TOKEN),)\nX = 1\nendif\nall:\n\ttrue\n' }],
    ['make', { Makefile: 'export MY_TOKEN\nall:\n\ttrue\n' }],
    ['make', { Makefile: 'include more.mk\n', 'more.mk': 'all:\n\techo $$MY_TOKEN\n' }],
    ['make', { ...recipe('./a.sh'), 'a.sh': '#!/bin/sh\necho "${MY_TOKEN}"\n' }],
    [
      'make',
      { ...recipe('./a.sh'), 'a.sh': '#!/bin/sh\n./b.sh\n', 'b.sh': '#!/bin/sh\necho $MY_TOKEN\n' },
    ],
    ['make', { ...recipe('perl a.pl'), 'a.pl': 'print $ENV{"MY_TOKEN"};\n' }],
    ['make', { ...recipe('cmake -P a.cmake'), 'a.cmake': 'message($ENV{MY_TOKEN})\n' }],
    ['ninja', ninja('echo $$MY_TOKEN')],
    ['ninja', ninja('echo $${MY_TOKEN}')],
  ])('keeps %s here where it is read: %j', async (tool, files) => {
    const cwd = folderWith(files);
    expect(await reasonOf(tool, { cwd, env: secret })).toContain(reads);
    // Where it is not set, nothing is missed.
    expect((await planOf(tool, { cwd })).ok).toBe(true);
  });

  it.each<[string | string[], Record<string, string>]>([
    ['make', recipe('env')],
    ['make', recipe('echo $(NOT_MY_TOKEN) $$MY_TOKEN_2')],
    ['make', { Makefile: 'all:\n\ttrue\ndeploy:\n\tcurl -H $(MY_TOKEN) $$MY_TOKEN\n' }],
    ['make', { Makefile: 'H = $(MY_TOKEN)\nall:\n\ttrue\ndeploy:\n\tcurl -H $(H)\n' }],
    ['make', { Makefile: 'MY_TOKEN = none\nall:\n\techo $(MY_TOKEN)\n' }],
    ['make', { ...recipe('./a.sh'), 'a.sh': '#!/bin/sh\n# Needs $MY_TOKEN.\ntrue\n' }],
    [['make', 'MY_TOKEN=public'], recipe('echo $(MY_TOKEN) $$MY_TOKEN')],
    ['ninja', ninja('echo $MY_TOKEN')],
  ])('does not keep %s here where it is not: %j', async (line, files) => {
    const found = await planOf(line, { cwd: folderWith(files), env: secret });
    if (!found.ok) throw new Error(found.failure.reason);
    expect(JSON.stringify(found.value)).not.toContain(secret.MY_TOKEN);
  });

  it('is seen when it is set, and when the makefile begins to read it', async () => {
    const cwd = folderWith(recipe('echo $(MY_TOKEN)'));
    const context = newContext();
    expect(await reasonOf('make', { cwd, context, env: secret })).toContain(reads);
    expect((await planOf('make', { cwd, context })).ok).toBe(true);
    expect(await reasonOf('make', { cwd, context, env: secret })).toContain(reads);
    put(cwd, recipe('true'));
    expect((await planOf('make', { cwd, context, env: secret })).ok).toBe(true);
  });

  it.skipIf(!has('cargo')).each([
    ['std::env::var("MY_TOKEN")', true],
    ['option_env!("MY_TOKEN")', true],
    ['println!("cargo::rerun-if-env-changed=MY_TOKEN")', true],
    ['println!("MY_TOKEN")', false],
  ])('keeps cargo here where a build script says %s: %s', async (line, kept) => {
    const cwd = folderWith({
      'Cargo.toml': '[package]\nname = "p"\nversion = "0.1.0"\n',
      'Cargo.lock': 'version = 3\n\n[[package]]\nname = "p"\nversion = "0.1.0"\n',
      'src/lib.rs': '',
      'build.rs': `fn main() { let _ = ${line}; }\n`,
    });
    const reason = await reasonOf('cargo build', { cwd, env: secret });
    expect(reason.includes(reads), reason).toBe(kept);
  });
});
