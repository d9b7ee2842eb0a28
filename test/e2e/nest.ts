/** What the tests of tools below tools share: a world with an embedded worker, projects, and what was asked. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { World, type Ended } from '../rig/world.ts';
import { type Files, write } from './projects.ts';
import { words } from './trouble.ts';

/** Off to the worker, whatever it costs. */
export const there: Files = { RCH_FORCE_REMOTE: '1' };

/** A program of no size. */
export const tinyC = 'int main(void) { return 0; }\n';

/** A crate whose build script compiles C, as the cc crate does. */
export const cInRust: Files = {
  'Cargo.toml': '[package]\nname = "c-in-rust"\nversion = "0.1.0"\nedition = "2021"\n',
  'Cargo.lock': 'version = 4\n\n[[package]]\nname = "c-in-rust"\nversion = "0.1.0"\n',
  'src/main.rs':
    'extern "C" { fn answer() -> i32; }\nfn main() { println!("{}", unsafe { answer() }); }\n',
  'answer.c': 'int answer(void) { return 42; }\n',
  'build.rs': `use std::{env, process::Command};
fn run(program: &str, args: &[&str]) {
    assert!(Command::new(program).args(args).status().unwrap().success());
}
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let object = format!("{out}/answer.o");
    run(&env::var("CC").unwrap_or("cc".into()), &["-c", "answer.c", "-o", &object]);
    run("ar", &["crs", &format!("{out}/libanswer.a"), &object]);
    println!("cargo:rustc-link-search=native={out}");
    println!("cargo:rustc-link-lib=static=answer");
    println!("cargo:rerun-if-changed=answer.c");
}
`,
};

export class Nest {
  readonly world: World;
  readonly base: string;
  /** The newest record before the last command. */
  #before: string | undefined;

  private constructor(world: World) {
    this.world = world;
    this.base = realpathSync(mkdtempSync(join(tmpdir(), 'rch-nesting-')));
  }

  static async make(): Promise<Nest> {
    const world = await World.create('[[workers]]\nid = "embedded"\ntransport = "embedded"\n');
    await world.start();
    return new Nest(world);
  }

  get shims(): string {
    return join(this.world.data, 'shims');
  }

  /** Makes a project anew. */
  project(name: string, files: Files): string {
    const folder = join(this.base, name);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    write(folder, files);
    return folder;
  }

  /** Runs a command; fails when it does. */
  async run(
    argv: readonly string[],
    folder: string,
    more: { env?: Files; shims?: boolean } = {},
  ): Promise<Ended> {
    [{ id: this.#before } = { id: undefined }] = await this.world.history(1);
    const ended = await this.world.run(argv, {
      cwd: folder,
      shims: more.shims ?? true,
      env: more.env ?? {},
    });
    expect(ended.code, `${argv.join(' ')}: ${words(ended)}`).toBe(0);
    return ended;
  }

  /** What was asked since the last `run` began, oldest first. */
  async asked(): Promise<string[]> {
    const rows = await this.world.history(100);
    const at = rows.findIndex(({ id }) => id === this.#before);
    return rows
      .slice(0, at < 0 ? rows.length : at)
      .reverse()
      .map((row) => `${row.argv[0] ?? ''} ${row.decision}`);
  }

  /** Every file below a folder that names the shims' folder. */
  shimsIn(folder: string): string[] {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => {
      try {
        return readFileSync(join(folder, name), 'latin1').includes(this.shims);
      } catch {
        return false;
      }
    });
  }

  async leave(): Promise<void> {
    await this.world.dispose();
    rmSync(this.base, { recursive: true, force: true });
  }
}
