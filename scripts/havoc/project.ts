/** A small C project that changes under its builds, and what a clean build of it would give. */
import { execFile } from 'node:child_process';
import { cpSync, lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { differences, snapshot } from '../../test/rig/tree-snapshot.ts';
import type { Chance } from './chance.ts';

const execute = promisify(execFile);

/** Objects take a moment each, so that there is something to interrupt. */
const makefile = `OBJS = $(patsubst %.c,%.o,$(sort $(wildcard *.c)))
all: out/sum.txt
	@cat out/sum.txt
%.o: %.c common.h
	@echo compiling $<
	@sleep 0.15
	@cc -O1 -c $< -o $@
app: $(OBJS)
	@cc $(OBJS) -o $@
out/sum.txt: app
	@mkdir -p out
	@./app > $@
`;

const main = '#include "common.h"\nint main(void) { return report(); }\n';
const common = (value: number): string => `#define BASE ${value}
int report(void);
void add(int value);
`;
const report = `#include <stdio.h>
#include "common.h"
static long sum = BASE;
void add(int value) { sum = sum * 31 + value; }
int report(void) { printf("sum %ld\\n", sum); return 0; }
`;
/** Adds its part before main begins. */
const part = (name: string, value: number): string => `#include "common.h"
__attribute__((constructor(200 + ${name.length}))) static void begin_${name}(void) { add(${value}); }
`;

type Source = { readonly text: string; readonly mtimeNs: bigint };

/** What stands in the way of another process while it looks: real tools, and nothing of rch. */
export type Tools = { readonly path: string };

export class Project {
  readonly folder: string;
  readonly #scratch: string;
  readonly #tools: Tools;
  readonly #sources = new Map<string, Source>();
  #parts = 0;
  #edits = 0;

  constructor(folder: string, tools: Tools) {
    this.folder = folder;
    this.#scratch = `${folder}.clean`;
    this.#tools = tools;
    mkdirSync(folder, { recursive: true });
    this.#write('Makefile', makefile);
    this.#write('common.h', common(1));
    this.#write('main.c', main);
    this.#write('report.c', report);
    for (let count = 0; count < 4; count++) this.#addPart();
  }

  /** Changes a source, as an editor would. */
  edit(chance: Chance): void {
    this.#edits += 1;
    const what = chance.between(0, 10);
    if (what === 0 && this.#parts < 8) this.#addPart();
    else if (what < 6) this.#write('common.h', common(chance.between(0, 1000)));
    else {
      const name = `p${chance.between(0, this.#parts)}`;
      this.#write(`${name}.c`, part(name, chance.between(0, 1000)));
    }
  }

  /** Saves all sources once more. */
  touch(): void {
    for (const [name, { text }] of [...this.#sources]) this.#write(name, text);
  }

  /** How often it was edited. */
  get edits(): number {
    return this.#edits;
  }

  /** What happened to sources that nobody here changed, in words. */
  harm(): string[] {
    return [...this.#sources].flatMap(([name, { text, mtimeNs }]) => {
      try {
        const stat = lstatSync(join(this.folder, name), { bigint: true });
        if (readFileSync(join(this.folder, name), 'utf8') !== text) return [`${name} was changed`];
        return stat.mtimeNs === mtimeNs ? [] : [`${name} has another time`];
      } catch {
        return [`${name} is gone`];
      }
    });
  }

  /** Whether the real make finds nothing to do. */
  async upToDate(): Promise<boolean> {
    return (await this.#make(this.folder, '-q', 'out/sum.txt')) === 0;
  }

  /** Builds what is left with the real tools, and compares all with a clean build elsewhere; the differences in words. */
  async settle(): Promise<string[]> {
    const code = await this.#make(this.folder, '-j2');
    if (code !== 0) return [`the real make ends with ${code}`];
    return this.compare();
  }

  /** Compares what stands here with a clean build elsewhere. */
  async compare(): Promise<string[]> {
    rmSync(this.#scratch, { recursive: true, force: true });
    mkdirSync(this.#scratch);
    for (const name of this.#sources.keys())
      cpSync(join(this.folder, name), join(this.#scratch, name), { preserveTimestamps: true });
    const code = await this.#make(this.#scratch, '-j2');
    if (code !== 0) return [`a clean build ends with ${code}`];
    return differences(snapshot(this.#scratch), snapshot(this.folder));
  }

  async #make(cwd: string, ...options: string[]): Promise<number> {
    const env = { PATH: this.#tools.path, LC_ALL: 'C' };
    try {
      await execute('make', options, { cwd, env });
      return 0;
    } catch (thrown) {
      const { code } = thrown as { code?: unknown };
      return typeof code === 'number' ? code : 255;
    }
  }

  #addPart(): void {
    const name = `p${this.#parts}`;
    this.#parts += 1;
    this.#write(`${name}.c`, part(name, this.#parts));
  }

  #write(name: string, text: string): void {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    this.#sources.set(name, { text, mtimeNs: lstatSync(path, { bigint: true }).mtimeNs });
  }
}
