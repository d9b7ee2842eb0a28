/**
 * Results that could not be returned, kept until they are fetched or a week old. In the agent's folder:
 * ```
 * kept/JOB/meta.json          whose they are, and the window of the run in each root
 * kept/JOB/ROOT.changes       what the run changed, kept/JOB/ROOT.before how that stood before: packed parts
 *                             (src/tree/packed.ts), each after its u32 length
 * kept/JOB/contents/HASH      what the changes speak of
 * ```
 * One is made as kept/JOB.new and renamed when it is whole.
 */
import { constants, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { copyFile, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { fail, messageOf, ok, type Result } from '../base/result.ts';
import type { AgentMessage } from '../protocol/agent.ts';
import { KEPT_MS } from '../protocol/jobs.ts';
import type { Change, Hash } from '../tree/manifest.ts';
import { packChanges, unpackChanges } from '../tree/packed.ts';
import type { Content } from './blobs-out.ts';
import { discard, type AgentFolder } from './folder.ts';
import { resultParts } from './result-parts.ts';
import { contentsOf, type RootResult } from './result.ts';

/** Somebody who looked at results so recently may still be fetching them, ms. */
const FETCHING_MS = 10 * 60 * 1000;

const metaShape = z.object({
  version: z.literal(1),
  workstation: z.string(),
  roots: z.array(z.object({ key: z.string(), from: z.string(), till: z.string() })),
});

/** A root's result as it is told again. */
export type KeptRoot = {
  readonly key: string;
  readonly from: bigint;
  readonly till: bigint;
  readonly parts: readonly Buffer[];
  readonly before: readonly Buffer[];
};

export type KeptResult = {
  readonly roots: readonly KeptRoot[];
  readonly contents: ReadonlyMap<Hash, Content>;
};

/** How the paths of a result stood in the agreed manifest, packed. */
export function beforeOf({ root, changes }: RootResult): Buffer[] {
  return packChanges(
    changes.map(({ path }): Change => {
      const entry = root.agreed.get(path);
      return entry === undefined ? { op: 'gone', path } : { op: 'put', path, entry };
    }),
  );
}

function bytesIn(folder: string): number {
  try {
    return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  } catch {
    return 0;
  }
}

function joinParts(parts: readonly Buffer[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(part.length);
      return [length, part];
    }),
  );
}

function splitParts(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at + 4 <= bytes.length;) {
    const end = at + 4 + bytes.readUInt32LE(at);
    parts.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return parts;
}

/** One kept result: its bytes, when it was kept, and when somebody last looked at it; ms. */
type Holding = { readonly bytes: number; readonly at: number; used: number };

export class Kept {
  readonly #holdings = new Map<string, Holding>();
  readonly #agent: AgentFolder;
  readonly #room: (bytes: number) => Promise<Result<undefined>>;

  /** `room` says whether so many more bytes fit on the disk. */
  constructor(agent: AgentFolder, room: (bytes: number) => Promise<Result<undefined>>) {
    this.#agent = agent;
    this.#room = room;
  }

  /** Copies the results of a job whose trees hold still; the value is the bytes of their contents. */
  async keep(
    of: { readonly hex: string; readonly workstation: string },
    results: readonly RootResult[],
  ): Promise<Result<number>> {
    const folder = this.#folder(of.hex);
    const contents = [...contentsOf(results).values()];
    const bytes = contents.reduce((sum, { size }) => sum + size, 0);
    const room = await this.#room(bytes);
    if (!room.ok) return room;
    try {
      await this.#write(`${folder}.new`, of.workstation, results);
      for (const { hash, path } of contents)
        await copyFile(path, join(`${folder}.new`, 'contents', hash), constants.COPYFILE_FICLONE);
      await rename(`${folder}.new`, folder);
      this.#holdings.set(of.hex, { bytes, at: Date.now(), used: 0 });
      return ok(bytes);
    } catch (thrown) {
      await discard(this.#agent, `${folder}.new`);
      return fail(`the results cannot be kept: ${messageOf(thrown)}`);
    }
  }

  /** Jobs whose results are kept, of all workstations, as far as nobody removed them. */
  get all(): string[] {
    return [...this.#holdings.keys()].filter((hex) => existsSync(this.#folder(hex)));
  }

  /** Bytes of all contents that are kept. */
  get bytes(): number {
    let bytes = 0;
    for (const holding of this.#holdings.values()) bytes += holding.bytes;
    return bytes;
  }

  /** Those that may go, the oldest first: kept before `till`, and not being fetched. */
  removable(till: number): string[] {
    return [...this.#holdings]
      .filter(([, { at, used }]) => at <= till && Date.now() - used > FETCHING_MS)
      .sort(([, a], [, b]) => a.at - b.at)
      .map(([hex]) => hex);
  }

  /** What is kept of a job of this workstation. */
  open(hex: string, workstation: string): KeptResult | undefined {
    const folder = this.#folder(hex);
    try {
      const meta = metaShape.parse(JSON.parse(readFileSync(join(folder, 'meta.json'), 'utf8')));
      if (meta.workstation !== workstation) return undefined;
      const holding = this.#holdings.get(hex);
      if (holding !== undefined) holding.used = Date.now();
      const contents = new Map<Hash, Content>();
      const roots = meta.roots.map(({ key, from, till }): KeptRoot => {
        const parts = splitParts(readFileSync(join(folder, `${key}.changes`)));
        for (const part of parts) addContents(contents, part, join(folder, 'contents'));
        const before = splitParts(readFileSync(join(folder, `${key}.before`)));
        return { key, from: BigInt(from), till: BigInt(till), parts, before };
      });
      return { roots, contents };
    } catch {
      return undefined;
    }
  }

  remove(hex: string): Promise<void> {
    this.#holdings.delete(hex);
    return discard(this.#agent, this.#folder(hex));
  }

  /** Removes what nobody fetched in time, and what was never finished. */
  async sweep(): Promise<void> {
    mkdirSync(this.#agent.kept, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#agent.kept)) {
      const path = join(this.#agent.kept, name);
      const at = statSync(path).mtimeMs;
      if (name.endsWith('.new') || Date.now() - at > KEPT_MS) await discard(this.#agent, path);
      else this.#holdings.set(name, { bytes: bytesIn(join(path, 'contents')), at, used: 0 });
    }
  }

  #folder(hex: string): string {
    return join(this.#agent.kept, hex);
  }

  async #write(folder: string, workstation: string, results: readonly RootResult[]): Promise<void> {
    await mkdir(join(folder, 'contents'), { recursive: true, mode: 0o700 });
    for (const result of results) {
      const { key } = result.root;
      await writeFile(join(folder, `${key}.changes`), joinParts(result.parts));
      await writeFile(join(folder, `${key}.before`), joinParts(beforeOf(result)));
    }
    const roots = results.map(({ root, from, till }) => ({
      key: root.key,
      from: from.toString(),
      till: till.toString(),
    }));
    await writeFile(
      join(folder, 'meta.json'),
      JSON.stringify({ version: 1, workstation, roots } satisfies z.infer<typeof metaShape>),
    );
  }
}

/** What is said to whoever asks for kept results. */
export function retold(kept: KeptResult, job: Buffer, request: number): AgentMessage[] {
  let bytes = 0n;
  for (const { size } of kept.contents.values()) bytes += BigInt(size);
  const results = kept.roots.flatMap(({ key, from, till, parts }) =>
    resultParts({ job, root: key, from, till }, parts),
  );
  return [...results, { type: 'kept', request, bytes }];
}

function addContents(contents: Map<Hash, Content>, part: Buffer, folder: string): void {
  const changes = unpackChanges(part);
  for (const change of changes.ok ? changes.value : [])
    if (change.op === 'put' && change.entry.kind === 'file') {
      const { hash, size } = change.entry;
      contents.set(hash, { hash, size, path: Buffer.from(join(folder, hash)) });
    }
}
