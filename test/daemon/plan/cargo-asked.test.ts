import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { folderWith, has, plain, planned, project, put, reasonOf, rootPaths } from './world.ts';

describe.skipIf(!has('cargo'))('planning cargo', () => {
  it.each([
    ['build.rustc', '.cargo/config.toml', '[build]\nrustc = "./mark a.sh"\n'],
    ['build.rustc', '.cargo/config', 'build.rustc = "./mark a.sh"\n'],
    ['build.rustc', '.cargo/config.toml', 'include = [{ path = "../more.toml" }]\n'],
    [
      'env.LD_PRELOAD',
      '.cargo/config.toml',
      '[env]\nLD_PRELOAD = { value = "x", relative = true }\n',
    ],
    ['env.PATH', '.cargo/config.toml', '[env]\nPATH = "/tmp/mine"\n'],
    ['rustflags', '.cargo/config.toml', '[build]\nrustflags = ["-Zcodegen-backend=./x.so"]\n'],
    ['rustflags', '.cargo/config.toml', '[target.x]\nrustflags = "-g @more"\n'],
    ['rust-toolchain.toml', 'rust-toolchain.toml', '[toolchain]\npath = "./chain"\n'],
    [
      'rust-toolchain.toml',
      'rust-toolchain.toml',
      `#${' '.repeat(1 << 16)}\n[toolchain]\npath = "./chain"\n`,
    ],
    ['rust-toolchain names', 'rust-toolchain', './chain\n'],
  ])('runs nothing of the project only to plan: %s in %s', async (word, name, text) => {
    const cwd = project(plain);
    const mark = `#!/bin/sh\n: > ${cwd}/marked\nexec rustc "$@"\n`;
    put(cwd, {
      [name]: text,
      'more.toml': '[build]\nrustc = "./mark a.sh"\n',
      'mark a.sh': mark,
      'chain/bin/cargo': mark,
    });
    for (const each of ['mark a.sh', 'chain/bin/cargo']) chmodSync(join(cwd, each), 0o755);
    expect(await reasonOf('cargo build', { cwd })).toContain(word);
    expect(existsSync(`${cwd}/marked`)).toBe(false);
  });

  it('does not run wrappers and tools of the project only to plan, and brings them', async () => {
    const cwd = project(plain);
    const tools = ['rustc-wrapper', 'rustc-workspace-wrapper', 'rustdoc'];
    put(cwd, {
      'mark.sh': `#!/bin/sh\n: > ${cwd}/marked\nexec "$@"\n`,
      '.cargo/config.toml': `[build]\n${tools.map((key) => `${key} = "./mark.sh"\n`).join('')}
        [registry]\nglobal-credential-providers = ["./mark.sh"]\n[alias]\nx = "./mark.sh"\n
        [env]\nRUSTC_BOOTSTRAP = "1"\n`,
    });
    chmodSync(`${cwd}/mark.sh`, 0o755);
    expect(rootPaths(await planned('cargo build', { cwd }), 'project')).toEqual([cwd]);
    expect(existsSync(`${cwd}/marked`)).toBe(false);
  });

  it("leaves the user's own choice of rustc to the user", async () => {
    const home = folderWith({ mine: '#!/bin/sh\nexec rustc "$@"\n' });
    chmodSync(`${home}/mine`, 0o755);
    put(home, { 'config.toml': `[build]\nrustc = "${home}/mine"\n` });
    const plan = await planned('cargo build', { cwd: project(plain), env: { CARGO_HOME: home } });
    expect(rootPaths(plan, 'readOnly')).toContain(home);
  });

  it('counts what --config says, as a file and by itself', async () => {
    const cwd = project(plain);
    put(cwd, { 'ci.toml': '[build]\nrustc = "./mark.sh"\n' });
    expect(await reasonOf('cargo build --config ci.toml', { cwd })).toContain('build.rustc');
    const line = ['cargo', 'build', '--config', 'build.rustc-wrapper="/opt/rch-none/wrap"'];
    expect(await reasonOf(line, { cwd })).toContain('/opt/rch-none/wrap');
  });
});
