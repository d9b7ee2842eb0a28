/** What makes an agent on a worker: our programs as one archive, and our Node with its libraries as another. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { arch } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import type { Layout } from '../../src/base/layout.ts';
import { fail, messageOf, ok, type Result } from '../../src/base/result.ts';
import { writeArchive, type ArchiveEntry } from './archive.ts';
import { startScript } from './start-script.ts';

/** In layout.lib, and in the agent's folder under the same names. */
const FILES = [
  'rch-wkr.mjs',
  'rch-run',
  'rch-fs',
  'native/blake.node',
  'native/zstd.node',
  'native/trim.node',
] as const;
/** Parts of glibc: the worker's own are used, which is why they must not be older than ours. */
const GLIBC = /^(?:ld-linux.*|linux-vdso|lib(?:c|m|dl|pthread|rt|resolv|util|nsl|anl|mvec))\.so/;

export type Archive = { readonly hash: string; readonly path: string; readonly bytes: number };

export type AgentParts = {
  /** Of all that the agent's folder holds, the name of the Node part included. */
  readonly hash: string;
  readonly nodeHash: string;
  /** Makes the archive if it is not in the cache. */
  readonly agent: () => Promise<Result<Archive>>;
  readonly node: () => Promise<Result<Archive>>;
};

const nodeRecord = z.object({ key: z.string(), hash: z.string(), libraries: z.array(z.string()) });

function uploads(layout: Layout): string {
  return join(layout.cache, 'upload');
}

async function addFile(
  hash: ReturnType<typeof createHash>,
  name: string,
  path: string,
): Promise<void> {
  hash.update(`${name}\0`);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }))
    hash.update(chunk as Buffer);
}

/** The shared libraries of our Node that are not glibc's, as `ldd` finds them. */
async function nodeLibraries(node: string): Promise<string[]> {
  const listed = await execa('ldd', [node], { reject: false, stdin: 'ignore' });
  return listed.stdout
    .split('\n')
    .map((line) => /=> (\/\S+)/.exec(line)?.[1])
    .filter((path): path is string => path !== undefined && !GLIBC.test(basename(path)));
}

type NodePart = {
  readonly node: string;
  readonly libraries: readonly string[];
  readonly hash: string;
};

/** Hashing 100 MB takes a while, so hash and libraries are remembered for as long as the binary looks the same. */
async function nodePart(layout: Layout): Promise<NodePart> {
  const node = await realpath(process.execPath);
  const info = await stat(node);
  const key = `${node} ${info.size} ${info.mtimeMs} ${info.ino}`;
  const record = join(uploads(layout), 'node.json');
  const text = await readFile(record, 'utf8').catch(() => 'null');
  const known = nodeRecord.safeParse(parsedJson(text));
  if (
    known.success &&
    known.data.key === key &&
    known.data.libraries.every((path) => existsSync(path))
  )
    return { node, libraries: known.data.libraries, hash: known.data.hash };
  const libraries = await nodeLibraries(node);
  const sum = createHash('sha256');
  for (const path of [node, ...libraries]) await addFile(sum, basename(path), path);
  const hash = sum.digest('hex').slice(0, 32);
  await mkdir(uploads(layout), { recursive: true, mode: 0o700 });
  await writeFile(`${record}.${process.pid}`, JSON.stringify({ key, hash, libraries }));
  await rename(`${record}.${process.pid}`, record);
  return { node, libraries, hash };
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The archive `KIND-HASH.tar.gz` from the cache, made first if need be; archives of other hashes go. */
async function archive(
  layout: Layout,
  kind: 'agent' | 'node',
  hash: string,
  entries: readonly ArchiveEntry[],
): Promise<Result<Archive>> {
  const folder = uploads(layout);
  const name = `${kind}-${hash}.tar.gz`;
  const path = join(folder, name);
  try {
    if (!existsSync(path)) {
      await writeArchive(path, entries);
      for (const other of await readdir(folder))
        if (other.startsWith(`${kind}-`) && other.endsWith('.tar.gz') && other !== name)
          await rm(join(folder, other), { force: true });
    }
    await chmod(path, 0o600);
    return ok({ hash, path, bytes: (await stat(path)).size });
  } catch (thrown) {
    return fail(
      `the agent's archive cannot be made in ${folder}: ${messageOf(thrown)}`,
      'is the disk here full?',
    );
  }
}

function nodeEntries(part: NodePart): ArchiveEntry[] {
  return [
    { name: 'node', mode: 0o755, content: { file: part.node } },
    { name: 'lib/', mode: 0o700, content: 'folder' },
    ...part.libraries.map((path): ArchiveEntry => ({
      name: `lib/${basename(path)}`,
      mode: 0o644,
      content: { file: path },
    })),
    { name: 'ready', mode: 0o600, content: { text: '' } },
  ];
}

function agentEntries(layout: Layout, start: string): ArchiveEntry[] {
  return [
    { name: 'native/', mode: 0o700, content: 'folder' },
    ...FILES.map((name): ArchiveEntry => ({
      name,
      mode: name.includes('.') ? 0o600 : 0o700,
      content: { file: join(layout.lib, name) },
    })),
    { name: 'start', mode: 0o700, content: { text: start } },
    // Last, so that whoever sees it sees all the rest.
    { name: 'ready', mode: 0o600, content: { text: '' } },
  ];
}

/** Reads our own installation and names its parts; nothing is written but the remembered hash. */
export async function agentParts(layout: Layout): Promise<Result<AgentParts>> {
  const missing = FILES.filter((name) => !existsSync(join(layout.lib, name)));
  if (missing.length > 0)
    return fail(
      `the installation lacks ${missing.map((name) => join(layout.lib, name)).join(', ')}`,
      'run ./install.sh again',
    );
  try {
    const part = await nodePart(layout);
    const sum = createHash('sha256').update(startScript('', part.hash)).update(arch());
    for (const name of FILES) await addFile(sum, name, join(layout.lib, name));
    const hash = sum.digest('hex').slice(0, 32);
    return ok({
      hash,
      nodeHash: part.hash,
      agent: () =>
        archive(layout, 'agent', hash, agentEntries(layout, startScript(hash, part.hash))),
      node: () => archive(layout, 'node', part.hash, nodeEntries(part)),
    });
  } catch (thrown) {
    return fail(`the installation cannot be read: ${messageOf(thrown)}`);
  }
}
