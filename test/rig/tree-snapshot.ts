/** What stands below a folder, so that two runs of a command can be compared file by file. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

export type Node =
  | { readonly kind: 'dir'; readonly mode: number }
  | {
      readonly kind: 'file';
      readonly mode: number;
      readonly size: number;
      readonly sha: string;
      readonly mtime: bigint;
    }
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'special' };

export type TreeSnapshot = Map<string, Node>;

/** Walks `folder`; paths for which `leaveOut` is true are neither listed nor entered. */
export function snapshot(
  folder: string,
  leaveOut: (path: string) => boolean = () => false,
): TreeSnapshot {
  const nodes: TreeSnapshot = new Map();
  const walk = (relative: string): void => {
    for (const name of readdirSync(join(folder, relative)).sort()) {
      const path = relative === '' ? name : `${relative}/${name}`;
      if (leaveOut(path)) continue;
      const at = join(folder, path);
      const stat = lstatSync(at, { bigint: true });
      const mode = Number(stat.mode & 0o7777n);
      if (stat.isSymbolicLink()) nodes.set(path, { kind: 'symlink', target: readlinkSync(at) });
      else if (stat.isDirectory()) {
        nodes.set(path, { kind: 'dir', mode });
        walk(path);
      } else if (stat.isFile()) {
        const sha = createHash('sha256').update(readFileSync(at)).digest('hex');
        nodes.set(path, { kind: 'file', mode, size: Number(stat.size), sha, mtime: stat.mtimeNs });
      } else nodes.set(path, { kind: 'special' });
    }
  };
  walk('');
  return nodes;
}

/** The differences of content, mode, links and presence, in words; `sameContent` false for files whose bytes may differ. */
export function differences(
  expected: TreeSnapshot,
  found: TreeSnapshot,
  sameContent: (path: string) => boolean = () => true,
): string[] {
  const words: string[] = [];
  for (const [path, node] of expected) {
    const other = found.get(path);
    if (other === undefined) words.push(`${path} is missing`);
    else if (other.kind !== node.kind) words.push(`${path} is a ${other.kind}, not a ${node.kind}`);
    else if (node.kind === 'symlink' && other.kind === 'symlink' && node.target !== other.target)
      words.push(`${path} points to ${other.target}, not ${node.target}`);
    else if ('mode' in node && 'mode' in other && node.mode !== other.mode)
      words.push(`${path} has mode ${other.mode.toString(8)}, not ${node.mode.toString(8)}`);
    else if (
      node.kind === 'file' &&
      other.kind === 'file' &&
      node.sha !== other.sha &&
      sameContent(path)
    )
      words.push(`${path} has other content (${other.size} bytes, not ${node.size})`);
  }
  for (const path of found.keys()) if (!expected.has(path)) words.push(`${path} is there too`);
  return words;
}
