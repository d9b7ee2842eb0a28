/** The repository that is built: a C program with make and a crate with cargo, each caller with sources of its own. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export type MarkAddress = { readonly host: string; readonly port: number };

/** Parts of the C program. */
const FILES = 4;

const step = (name: string, at: number): string => `static int ${name}_${at}(int seed) {
  int numbers[64];
  for (int i = 0; i < 64; i++) numbers[i] = (seed * ${31 + at} + i * STEP) % 97;
  qsort(numbers, 64, sizeof *numbers, compare);
  for (int i = 1; i < 64; i++) numbers[0] += numbers[i] > numbers[i - 1] ? numbers[i] ^ ${at} : memchr(numbers, i, 64) != 0;
  return numbers[0] & 0xff;
}
`;

/** `weight` functions, each with something for the optimizer: 30 take about a third of a second of CPU time. */
const source = (name: string, weight: number): string => `#include <stdlib.h>
#include <string.h>
#include "common.h"
static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
${Array.from({ length: weight }, (_, at) => step(name, at)).join('')}
int ${name}(int seed) {
  int sum = 0;
${Array.from({ length: weight }, (_, at) => `  sum += ${name}_${at}(seed);`).join('\n')}
  return sum * 0;
}
`;

const makefile = `CFLAGS = -O2 -Wall
O = out/$(CALLER)
OBJECTS = $(O)/main.o $(patsubst %,$(O)/part%.o,${Array.from({ length: FILES }, (_, at) => String(at)).join(' ')})
all: $(O)/program
\t@exec 3<>/dev/tcp/$(MARK_HOST)/$(MARK_PORT) && echo $(BUILD) >&3 && read -r answer <&3
$(O)/program: $(OBJECTS)
\t$(CC) -o $@ $(OBJECTS)
$(O)/main.o: own/$(CALLER).c common.h
\t@mkdir -p $(O)
\t$(CC) $(CFLAGS) -I. -c $< -o $@
$(O)/part%.o: part%.c common.h
\t@mkdir -p $(O)
\t$(CC) $(CFLAGS) -c $< -o $@
.PHONY: all
`;

const crateMain = `const ANSWER: &str = include_str!("../answer.txt");
fn main() { println!("{}", ANSWER.trim()); }
`;

/** The mark is made by the build script, which the answer's change starts. */
const buildScript = `use std::{fs, io::{Read, Write}, net::TcpStream};
fn main() {
    println!("cargo:rerun-if-changed=answer.txt");
    println!("cargo:rerun-if-changed=mark.txt");
    let text = fs::read_to_string("mark.txt").unwrap();
    let mut words = text.split_whitespace();
    let mut stream = TcpStream::connect(words.next().unwrap()).unwrap();
    writeln!(stream, "{}", words.next().unwrap()).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
}
`;

function write(folder: string, path: string, text: string): void {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

const ownSource = (answer: number): string => `#include <stdio.h>
#include "common.h"
int main(void) { printf("%d\\n", ${answer} + PARTS); return 0; }
`;

/** Makes the repository in `folder`; the worktrees of it stand beside it. `weight`: how much there is to compile. */
export function makeRepository(folder: string, callers: readonly string[], weight: number): void {
  const git = (...args: string[]): void => {
    execFileSync('git', ['-c', 'user.name=storm', '-c', 'user.email=storm@example.org', ...args], {
      cwd: folder,
      stdio: 'ignore',
    });
  };
  const parts = Array.from({ length: FILES }, (_, at) => `part${at}`);
  const calls = parts.map((name) => `${name}(1)`).join(' + ');
  const declared = parts.map((name) => `int ${name}(int);`).join(' ');
  write(folder, 'Makefile', makefile.replace('all:', 'SHELL = /bin/bash\nall:'));
  write(folder, 'common.h', `#define STEP 7\n${declared}\n#define PARTS (${calls})\n`);
  for (const name of parts) write(folder, `${name}.c`, source(name, weight));
  for (const caller of callers) write(folder, `own/${caller}.c`, ownSource(0));
  write(
    folder,
    'crate/Cargo.toml',
    '[package]\nname = "storm"\nversion = "0.1.0"\nedition = "2021"\n',
  );
  write(
    folder,
    'crate/Cargo.lock',
    'version = 4\n\n[[package]]\nname = "storm"\nversion = "0.1.0"\n',
  );
  write(folder, 'crate/src/main.rs', crateMain);
  write(folder, 'crate/build.rs', buildScript);
  write(folder, 'crate/answer.txt', '0\n');
  write(folder, 'crate/mark.txt', '\n');
  write(folder, '.gitignore', 'out/\ntarget/\n');
  git('init', '-q', '-b', 'main');
  git('add', '.');
  git('commit', '-q', '-m', 'storm');
}

export function addWorktree(repository: string, folder: string): void {
  const args = ['worktree', 'add', '-q', '--detach', folder];
  execFileSync('git', args, { cwd: repository, stdio: 'ignore' });
}

/** One build: an edit before it, the command, and what the program must print after it. */
export type Build = {
  readonly name: string;
  /** Where it is built. */
  readonly folder: string;
  readonly edit: () => void;
  readonly command: string;
  /** The program it makes. */
  readonly program: string;
  readonly answer: string;
};

export type BuildOptions = {
  readonly worktree: string;
  readonly caller: string;
  readonly name: string;
  readonly mark: MarkAddress;
  readonly answer: number;
};

/** `jobs`: make's -j. */
export function makeBuild(options: BuildOptions, jobs: number): Build {
  const { worktree, caller, name, mark, answer } = options;
  const variables = `CALLER=${caller} BUILD=${name} MARK_HOST=${mark.host} MARK_PORT=${mark.port}`;
  return {
    name,
    folder: worktree,
    edit: () => {
      write(worktree, `own/${caller}.c`, ownSource(answer));
      // What was built before is gone, as after `make clean`: all of it is built again.
      rmSync(join(worktree, 'out', caller), { recursive: true, force: true });
    },
    command: `make -j${jobs} ${variables}`,
    program: join(worktree, 'out', caller, 'program'),
    answer: `${answer}\n`,
  };
}

export function cargoBuild({ worktree, name, mark, answer }: BuildOptions): Build {
  const folder = join(worktree, 'crate');
  return {
    name,
    folder,
    edit: () => {
      write(folder, 'answer.txt', `${answer}\n`);
      write(folder, 'mark.txt', `${mark.host}:${mark.port} ${name}\n`);
    },
    command: 'cargo build --offline -q',
    program: join(folder, 'target', 'debug', 'storm'),
    answer: `${answer}\n`,
  };
}
