/** Takes the facts of the machine this program runs on. The agent and the daemon do it alike, so that they compare. */
import { readFile, statfs } from 'node:fs/promises';
import { availableParallelism, hostname, machine, release, totalmem } from 'node:os';
import type { MachineFacts } from '../protocol/facts.ts';
import { libcOf } from './libc.ts';
import { filesAt, linksAt, shadows } from './files.ts';
import { PackageList, packagesMark } from './packages.ts';
import { findTool, ToolBox, type ToolSearch } from './tools.ts';

export type FactsOptions = {
  /** PATH on which tools are looked for. */
  readonly path: string;
  /** Folders of PATH to leave out: rch's shims. */
  readonly skip?: readonly string[];
  /** The folder whose file system counts for `diskFree`. */
  readonly folder?: string;
};

const searchOf = ({ path, skip = [] }: FactsOptions): ToolSearch => ({ path, skip });

async function textOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '');
}

/** PRETTY_NAME of os-release(5), unquoted; empty when there is none. */
export function parseOsRelease(text: string): string {
  const value = /^PRETTY_NAME=(.*)$/m.exec(text)?.[1]?.trim() ?? '';
  const quoted = /^(["'])(.*)\1$/.exec(value);
  return (quoted?.[2] ?? value).replace(/\\(["'$`\\])/g, '$1');
}

/** Model and sorted flags of the first processor; `Features` is the name of flags on ARM. */
export function parseCpu(text: string): { model: string; flags: string[] } {
  const first = text.split('\n\n')[0] ?? '';
  const field = (name: RegExp): string => name.exec(first)?.[1]?.trim() ?? '';
  const flags = field(/^(?:flags|Features)\s*:(.*)$/m);
  return {
    model: field(/^(?:model name|Processor|cpu model)\s*:(.*)$/m),
    flags: flags === '' ? [] : flags.split(/\s+/).sort(),
  };
}

/** Below room for so many bytes a worker starts nothing. */
export const LEAST_DISK = 200 * 1024 * 1024;

/** Free bytes for an unprivileged writer; 0 when the folder cannot be asked. */
export async function diskFreeOf(folder: string): Promise<number> {
  const info = await statfs(folder).catch(() => undefined);
  return info === undefined ? 0 : info.bavail * info.bsize;
}

/** Bytes for which a file system that counts its inodes has one, mostly: mke2fs(8), -i. */
const INODE_FOR = 16_384;

/** Bytes of sources and builds for which there is room: as many as are free, as far as free inodes go with them. */
export async function roomOf(folder: string): Promise<number> {
  const info = await statfs(folder).catch(() => undefined);
  if (info === undefined) return 0;
  const free = info.bavail * info.bsize;
  // statfs(2): a file system without a fixed number of inodes tells none.
  return info.files === 0 ? free : Math.min(free, info.ffree * INODE_FOR);
}

/** Takes facts again and again, and asks only for what changed since the last time. Never throws, never hangs. */
export class MachineProbe {
  readonly #packages = new PackageList();
  readonly #tools = new ToolBox();
  #libc: string | undefined;

  /** Another one when packages, or the files that the names among `asked` mean, are others than before; runs nothing. */
  async mark(asked: readonly string[], options: FactsOptions): Promise<string> {
    const search = searchOf(options);
    const tools = asked.filter((name) => !name.startsWith('/'));
    const files = tools.map((name) => {
      const found = findTool(name, search);
      return found === undefined ? '' : `${found.path} ${found.identity}`;
    });
    return [await packagesMark(), ...files].join('\n');
  }

  /** `asked`: names of tools, and absolute paths of files. */
  async take(asked: readonly string[], options: FactsOptions): Promise<MachineFacts> {
    const search = searchOf(options);
    this.#libc ??= await libcOf(options.path);
    const tools = asked.filter((name) => !name.startsWith('/'));
    const paths = await filesAt(asked.filter((name) => name.startsWith('/')));
    const cpu = parseCpu(await textOf('/proc/cpuinfo'));
    const osRelease = (await textOf('/etc/os-release')) || (await textOf('/usr/lib/os-release'));
    return {
      arch: machine(),
      kernel: release(),
      libc: this.#libc,
      hostname: hostname(),
      system: parseOsRelease(osRelease),
      cores: availableParallelism(),
      memory: totalmem(),
      diskFree: await roomOf(options.folder ?? '/'),
      cpuModel: cpu.model,
      cpuFlags: cpu.flags,
      ...(await this.#packages.take(options.path)),
      tools: await this.#tools.take(tools, search),
      paths,
      // Most of what is asked for is nowhere, and leads nowhere.
      links: await linksAt(Object.keys(paths).filter((path) => paths[path])),
      shadows: await shadows(),
    };
  }
}

const shared = new MachineProbe();

/** The facts of this machine with these tools; what was asked before in this process is remembered. */
export function machineFacts(
  tools: readonly string[],
  options: FactsOptions,
): Promise<MachineFacts> {
  return shared.take(tools, options);
}
