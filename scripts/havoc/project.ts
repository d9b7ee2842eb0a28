/** A small project that changes under its builds: what its sources are, and what a clean build of them would give. */
import { execFile } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What an edit changes: which kind of source and which one of them (below 1 each), and its new value. */
export type Edit = { readonly what: number; readonly which: number; readonly value: number };

type Source = { readonly text: string; readonly mtimeNs: bigint };

/** How a build is to be made. */
export type BuildWish = {
  /** What the build marks its run by. */
  readonly name: string;
  /** It may run beside another, or be killed here: no file may ever be half written. */
  readonly gently: boolean;
};

/** Where builds mark that they ran (scripts/storms/marks.ts). */
export type MarkAddress = { readonly host: string; readonly port: number };

export type ProjectOptions = {
  readonly folder: string;
  /** Of the real tools, and nothing of rch. */
  readonly env: Readonly<Record<string, string>>;
  readonly mark: MarkAddress;
};

export abstract class Project {
  readonly folder: string;
  /** Beside the folder. */
  protected readonly scratch: string;
  protected readonly mark: MarkAddress;
  readonly #env: Readonly<Record<string, string>>;
  readonly #sources = new Map<string, Source>();
  #edits = 0;

  constructor({ folder, env, mark }: ProjectOptions) {
    this.folder = folder;
    this.scratch = `${folder}.clean`;
    this.mark = mark;
    this.#env = { ...env, LC_ALL: 'C' };
    mkdirSync(folder, { recursive: true });
  }

  /** Makes ready for a build, and says by which argv. Its output ends with the line `sum N`. */
  abstract build(wish: BuildWish): readonly string[];

  /** What the real tool finds to do and why, in its own words; empty when there is nothing. */
  abstract toDo(): Promise<string>;

  /** Builds what is left with the real tools; how that failed, in words. */
  abstract finish(): Promise<string[]>;

  /** Compares what stands here with a clean build elsewhere; the differences in words. */
  abstract compare(): Promise<string[]>;

  protected abstract change(edit: Edit): void;

  /** Changes a source, as an editor would. */
  edit(edit: Edit): void {
    this.#edits += 1;
    this.change(edit);
  }

  /** How often it was edited. */
  get edits(): number {
    return this.#edits;
  }

  /** Saves all sources once more. */
  touch(): void {
    for (const [name, { text }] of [...this.#sources]) this.write(name, text);
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

  /** Removes what was put beside a file that two runs of one command changed at once. */
  removeRivals(): void {
    for (const name of readdirSync(this.folder, { recursive: true, encoding: 'utf8' }))
      if (/\.rch-[0-9a-f]{8}$/.test(name)) rmSync(join(this.folder, name), { force: true });
  }

  /** Builds the rest with the real tools, and compares all with a clean build; the differences in words. */
  async settle(): Promise<string[]> {
    const failed = await this.finish();
    return failed.length > 0 ? failed : this.compare();
  }

  protected get sources(): readonly string[] {
    return [...this.#sources.keys()];
  }

  protected write(name: string, text: string): void {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    this.#sources.set(name, { text, mtimeNs: lstatSync(path, { bigint: true }).mtimeNs });
  }

  /** Runs a real tool; all that it wrote, and its exit code: 255 when it has none. */
  protected real(
    argv: readonly [string, ...string[]],
    cwd: string,
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly code: number; readonly said: string }> {
    const [program, ...args] = argv;
    return new Promise((resolve) => {
      execFile(program, args, { cwd, env: { ...this.#env, ...env } }, (error, out, err) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 255;
        resolve({ code, said: out + err });
      });
    });
  }
}
