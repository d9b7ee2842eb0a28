/** A C program that make builds, of parts that come and change. */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { wordsOf } from './words.ts';
import { differences, snapshot } from '../../test/rig/tree-snapshot.ts';
import { Project, type BuildWish, type Edit, type ProjectOptions } from './project.ts';

/**
 * Objects take a moment each, so that there is something to interrupt. With GENTLY each file is made beside its place
 * and renamed, so that makes may run beside each other.
 */
const makefile = `SHELL = /bin/bash
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard *.c)))
T = $@$(if $(GENTLY),.tmp$$$$)
PLACE = $(if $(GENTLY),mv -f $(T) $@,:)
all: mark out/sum.txt
	@cat out/sum.txt
mark:
	@[ -z "$(BUILD)" ] || { exec 3<>/dev/tcp/$(MARK) && echo $(BUILD) >&3 && read -r answer <&3; }
%.o: %.c common.h
	@echo compiling $<
	@sleep 0.15
	@cc -O1 -c $< -o $(T) && $(PLACE)
app: $(OBJS)
	@cc $(OBJS) -o $(T) && $(PLACE)
out/sum.txt: app
	@mkdir -p out
	@./app > $(T) && $(PLACE)
.PHONY: all mark
`;
const temporary = (path: string): boolean => /\.tmp\d+$/.test(path);

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

const MOST_PARTS = 8;

export class MakeProject extends Project {
  #parts = 0;

  constructor(options: ProjectOptions) {
    super(options);
    this.write('Makefile', makefile);
    this.write('common.h', common(1));
    this.write('main.c', main);
    this.write('report.c', report);
    for (let count = 0; count < 4; count++) this.#addPart();
  }

  build({ name, gently }: BuildWish): readonly string[] {
    const { host, port } = this.mark;
    const argv = ['make', '-j2', `BUILD=${name}`, `MARK=${host}/${port}`];
    return gently ? [...argv, 'GENTLY=1'] : argv;
  }

  async toDo(): Promise<string> {
    const { code, said } = await this.real(['make', '-q', '--debug=b', 'out/sum.txt'], this.folder);
    return code === 0 ? '' : wordsOf(said, /newer|does not exist|must remake/i);
  }

  async finish(): Promise<string[]> {
    const { code } = await this.real(['make', '-j2'], this.folder);
    return code === 0 ? [] : [`the real make ends with ${code}`];
  }

  async compare(): Promise<string[]> {
    rmSync(this.scratch, { recursive: true, force: true });
    mkdirSync(this.scratch);
    for (const name of this.sources)
      cpSync(join(this.folder, name), join(this.scratch, name), { preserveTimestamps: true });
    const { code } = await this.real(['make', '-j2'], this.scratch);
    if (code !== 0) return [`a clean build ends with ${code}`];
    return differences(snapshot(this.scratch, temporary), snapshot(this.folder, temporary));
  }

  protected change({ what, which, value }: Edit): void {
    if (what < 0.1 && this.#parts < MOST_PARTS) this.#addPart();
    else if (what < 0.6) this.write('common.h', common(value));
    else {
      const name = `p${Math.floor(which * this.#parts)}`;
      this.write(`${name}.c`, part(name, value));
    }
  }

  #addPart(): void {
    const name = `p${this.#parts}`;
    this.#parts += 1;
    this.write(`${name}.c`, part(name, this.#parts));
  }
}
