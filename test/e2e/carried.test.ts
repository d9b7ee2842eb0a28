/** What a build finds on a worker, and what comes back of it: the same as here, whatever kind of thing it is. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { World, type Ended, type HistoryRow } from '../rig/world.ts';

let world: World;

beforeAll(async () => {
  const worker = '[[workers]]\nid = "inside"\ntransport = "embedded"\n';
  world = await World.create(worker, '[transfer]\nmax_git_size_mb = 0.2\n');
  await world.start();
});
afterAll(() => world.dispose());

type Built = { readonly ended: Ended; readonly row: HistoryRow };

/** Runs a command through the shims, and says where it ran. */
async function build(cwd: string, argv = ['make', '-s']): Promise<Built> {
  const ended = await world.run(argv, { cwd, env: { RCH_FORCE_REMOTE: '1' } });
  const [row] = await world.history(1);
  if (row === undefined) throw new Error('no history');
  return { ended, row };
}

const sh = (cwd: string, script: string): string =>
  execFileSync('sh', ['-ec', script], { cwd, encoding: 'latin1', stdio: 'pipe' });

/** Two equal projects: one is built here, the other on the worker. */
function twins(name: string, make: string): { here: string; there: string } {
  const [here, there] = ['here', 'there'].map((side) => join(world.root, side, name)) as [
    string,
    string,
  ];
  for (const path of [here, there]) {
    fs.mkdirSync(path, { recursive: true });
    sh(path, make);
  }
  return { here, there };
}

async function bothWays(at: { here: string; there: string }): Promise<Built> {
  const real = await world.run(['make', '-s'], { cwd: at.here, shims: false });
  const built = await build(at.there);
  expect(built.row, built.row.reason).toMatchObject({ decision: 'remote' });
  expect(built.ended.stderr.toString()).toBe(real.stderr.toString());
  expect(built.ended.stdout.toString('latin1')).toBe(real.stdout.toString('latin1'));
  expect(built.ended.code).toBe(real.code);
  return built;
}

/** Kind, mode, links, size and content of everything; holes as the share of a large file that takes room. */
const look =
  'find . -mindepth 1 ! -path "./.git*" -printf "%P %y %m %n %l\\n" | LC_ALL=C sort; ' +
  'find . -type f ! -path "./.git*" ! -size +1000k -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; ' +
  'find . -type f -size +1000k -printf "%P %s\\n" | LC_ALL=C sort; ' +
  'find . -type f -size +1000k -printf "%b\\n" | while read b; do [ $b -lt 2000 ] || echo not sparse; done';

describe('kinds of things', () => {
  it('are there as here, and come back as they were made there', async () => {
    const make = [
      'printf "all:\\n\\t@%s\\n" "sh ./look; sh ./make-out; sh ./look" > Makefile',
      `cat > look <<'EOF'\n${look}\nEOF`,
      `cat > make-out <<'EOF'
mkdir -p out/empty out/sub
echo one > out/one; ln out/one out/sub/two; ln out/one out/three
echo x > out/Name; echo y > out/NAME; echo z > out/name
printf '#!/bin/sh\\n' > out/tool; chmod 755 out/tool
echo s > out/secret; chmod 600 out/secret
truncate -s 50M out/sparse; printf end >> out/sparse
ln -s ../in/one out/link; ln -s nowhere out/dangling
chmod 700 out/sub
chmod +x in/plain; rm in/gone; rmdir in/void; ln in/one in/another; echo more >> in/Case
EOF`,
      'mkdir -p in/empty in/void in/sub',
      'echo one > in/one; ln in/one in/sub/two; ln in/one in/sub/three',
      'echo a > in/Case; echo b > in/case; echo c > in/CASE',
      'echo p > in/plain; echo g > in/gone',
      "printf '#!/bin/sh\\n' > in/tool; chmod 755 in/tool; chmod 2700 in/sub",
      'truncate -s 60M in/sparse; printf end >> in/sparse',
      'ln -s one in/link; ln -s /nowhere/at/all in/dangling',
    ].join('\n');
    const at = twins('kinds', make);
    const { row } = await bothWays(at);
    expect(row.bytes.sent).toBeLessThan(200_000);
    expect(row.bytes.received).toBeLessThan(200_000);
    expect(sh(at.there, look)).toBe(sh(at.here, look));
    const ino = (name: string): bigint => fs.statSync(join(at.there, name), { bigint: true }).ino;
    expect(ino('out/sub/two')).toBe(ino('out/one'));
    expect(ino('out/three')).toBe(ino('out/one'));
    expect(ino('in/another')).toBe(ino('in/one'));
  });
});

/** A repository whose history is larger than what is carried whole. */
const history = `
git init -q -b main .
git config user.name a; git config user.email a@example.org; git config gc.auto 0
for i in 1 2 3; do
  head -c 200000 /dev/urandom > blob; echo $i > file; git add -A; git commit -qm "commit $i"
  [ $i != 1 ] || git tag -am first v1
done
git rm -q --cached blob; rm blob
git add -A; git commit -qm last`;

const asked =
  'git rev-parse HEAD >/dev/null && git describe --dirty --always --long; git status --porcelain; git rev-list --count HEAD; ' +
  'git log -1 --format=%s; git diff --stat';

describe('a git history that is too large to be carried', () => {
  const makefile = `printf 'all:\\n\\t@%s\\n' '${asked}' > Makefile`;
  const answer = (text: string): string => text.replace(/-g[0-9a-f]+/g, '-gHASH');

  it('answers there as here, clean and dirty, and is only read', async () => {
    const at = twins('history', `${makefile}\n${history}`);
    const store = (): string =>
      sh(join(at.there, '.git/objects'), 'find . -printf "%P %s %T@ %C@\\n" | sort');
    const before = store();
    for (const edit of ['true', 'echo edited >> file', 'git add file', 'git commit -qm more']) {
      const untouched = store();
      for (const path of [at.here, at.there]) sh(path, edit);
      const real = await world.run(['make', '-s'], { cwd: at.here, shims: false });
      const { ended, row } = await build(at.there);
      expect(row, row.reason).toMatchObject({ decision: 'remote' });
      expect(answer(ended.stdout.toString())).toBe(answer(real.stdout.toString()));
      expect([ended.code, ended.stderr.toString()]).toEqual([0, '']);
      expect(row.bytes.sent).toBeLessThan(100_000);
      if (edit === 'true') expect(store()).toBe(untouched);
    }
    expect(store()).not.toBe(before);
    expect(sh(at.there, 'git fsck --full 2>&1; git status --porcelain')).toBe('');
  });

  it('keeps builds here that add to it', async () => {
    const make =
      "printf 'all:\\n\\t@date +%%N > now; git add now; git commit -qm now\\n' > Makefile";
    const { there } = twins('commits', `${make}\n${history}`);
    const { ended, row } = await build(there);
    expect(row).toMatchObject({ decision: 'local' });
    expect(row.reason).toMatch(/git (add|commit)/);
    expect(ended.code).toBe(0);
    expect(sh(there, 'git fsck --full 2>&1; git log --format=%s -1')).toBe('now\n');
  });

  it('answers in a linked worktree', async () => {
    const make = `${makefile}\n${history}`;
    const at = twins('main', make);
    for (const path of [at.here, at.there])
      sh(path, 'git worktree add -q ../linked; cp Makefile ../linked');
    const linked = { here: join(at.here, '../linked'), there: join(at.there, '../linked') };
    const real = await world.run(['make', '-s'], { cwd: linked.here, shims: false });
    const { ended, row } = await build(linked.there);
    expect(row, row.reason).toMatchObject({ decision: 'remote' });
    expect(answer(ended.stdout.toString())).toBe(answer(real.stdout.toString()));
    expect(row.bytes.sent).toBeLessThan(100_000);
  });

  it('gives a build script of cargo the same version', async () => {
    const crate = `mkdir src
printf '[package]\\nname = "v"\\nversion = "0.1.0"\\nedition = "2021"\\n' > Cargo.toml
printf 'fn main() { println!("{}", env!("V")); }\\n' > src/main.rs
printf '/target\\n' > .gitignore; cargo generate-lockfile --offline -q
cat > build.rs <<'EOF'
fn main() {
  let out = std::process::Command::new("git").args(["describe", "--dirty", "--always", "--long"]).output().unwrap();
  println!("cargo:rustc-env=V={}", String::from_utf8(out.stdout).unwrap().trim());
}
EOF
${history}
echo >> src/main.rs`;
    const { there } = twins('vergen', crate);
    const expected = sh(there, 'git describe --dirty --always --long');
    const { ended, row } = await build(there, ['cargo', 'build', '-q', '--offline']);
    expect(ended.code, ended.stderr.toString()).toBe(0);
    expect(row, row.reason).toMatchObject({ decision: 'remote' });
    expect(sh(there, './target/debug/v')).toBe(expected);
    expect(expected).toMatch(/-dirty\n$/);
  });
});

describe('a target folder outside the project', () => {
  it('is begun without, then shared', async () => {
    const folder = join(world.root, 'crate');
    const target = join(world.root, 'target-elsewhere');
    fs.mkdirSync(join(folder, 'src'), { recursive: true });
    sh(
      folder,
      `printf '[package]\\nname = "t"\\nversion = "0.1.0"\\nedition = "2021"\\n' > Cargo.toml; printf 'fn main() { println!("1"); }\\n' > src/main.rs`,
    );
    const env = { RCH_FORCE_REMOTE: '1', CARGO_TARGET_DIR: target };
    const cargo = (shims: boolean): Promise<Ended> =>
      world.run(['cargo', 'build', '--offline'], { cwd: folder, env, shims });
    expect((await cargo(false)).code).toBe(0);
    fs.writeFileSync(join(target, 'debug/large'), randomBytes(5_000_000));
    fs.writeFileSync(join(folder, 'src/main.rs'), 'fn main() { println!("2"); }\n');
    const ended = await cargo(true);
    const [row] = await world.history(1);
    expect(ended.code, ended.stderr.toString()).toBe(0);
    expect(row, row?.reason).toMatchObject({ decision: 'remote' });
    expect(row?.bytes.sent).toBeLessThan(1_000_000);
    expect(sh(target, './debug/t')).toBe('2\n');
    const fresh = await cargo(false);
    expect(fresh.stderr.toString()).toContain('Finished');
    expect(fresh.stderr.toString()).not.toContain('Compiling');
    expect(fs.statSync(join(target, 'debug/large')).size).toBe(5_000_000);
  });
});
