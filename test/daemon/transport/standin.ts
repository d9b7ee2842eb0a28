/** An installation whose agent is the stand-in of test/fixtures, and workers as the configuration would have them. */
import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { layoutFor, type Layout } from '../../../src/base/layout.ts';
import type { Result } from '../../../src/base/result.ts';
import { workerConfig, type WorkerConfig } from '../../../src/config/worker-schema.ts';
import { knownHostsOf, type FleetWorker } from '../../rig/fleet.ts';
import { clear, endProcessesOf } from '../../rig/processes.ts';

const top = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

export class Installation {
  readonly root = mkdtempSync(join(tmpdir(), 'rch-transport-'));
  readonly layout: Layout;
  /** Read by ssh instead of the user's configuration. */
  readonly sshConfig: string;

  constructor() {
    this.layout = layoutFor({ HOME: this.root }, join(this.root, 'home'));
    mkdirSync(join(this.layout.lib, 'native'), { recursive: true });
    mkdirSync(this.layout.config, { recursive: true, mode: 0o700 });
    mkdirSync(this.layout.run, { recursive: true, mode: 0o700 });
    cpSync(
      join(top, 'test', 'fixtures', 'stand-in-agent.mjs'),
      join(this.layout.lib, 'rch-wkr.mjs'),
    );
    const built = join(top, 'dist', 'lib');
    cpSync(join(built, 'rch-run'), join(this.layout.lib, 'rch-run'));
    cpSync(join(built, 'rch-run'), join(this.layout.lib, 'rch-fs'));
    for (const name of ['blake.node', 'zstd.node', 'trim.node'])
      cpSync(join(built, 'native', name), join(this.layout.lib, 'native', name));
    this.sshConfig = join(this.root, 'ssh_config');
    writeFileSync(this.sshConfig, 'UserKnownHostsFile none\nGlobalKnownHostsFile none\n');
  }

  /** Makes these the only known hosts. */
  know(...workers: readonly FleetWorker[]): void {
    writeFileSync(
      join(this.layout.config, 'known_hosts'),
      workers.map((worker) => knownHostsOf(worker)).join(''),
      {
        mode: 0o600,
      },
    );
  }

  async remove(): Promise<void> {
    await endProcessesOf(this.root);
    clear(this.root);
  }
}

export function sshWorker(
  worker: FleetWorker,
  changes: Record<string, unknown> = {},
): WorkerConfig {
  return workerConfig.parse({
    id: worker.id,
    transport: 'ssh',
    host: worker.host,
    port: worker.port,
    user: worker.user,
    identityFile: worker.identityFile,
    sshTimeoutMs: 15_000,
    ...changes,
  });
}

export function valueOf<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(`${result.failure.reason} / ${result.failure.next ?? ''}`);
  return result.value;
}

/** Reason and advice of a failure; throws when there was none. */
export function failureOf(result: Result<unknown>): string {
  if (result.ok) throw new Error('it did not fail');
  return `${result.failure.reason} | ${result.failure.next ?? ''}`;
}

/** Resolves when there may be more to read, or nothing more comes. */
function moved(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const events = ['readable', 'end', 'close'] as const;
    const done = (): void => {
      for (const event of events) stream.off(event, done);
      resolve();
    };
    for (const event of events) stream.on(event, done);
  });
}

/** Reads exactly `bytes`. */
export async function take(stream: Duplex, bytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  while (length < bytes) {
    const piece = stream.read() as Buffer | null;
    if (piece === null) {
      if (stream.readableEnded || stream.destroyed)
        throw new Error(`the stream ended after ${length} bytes`);
      await moved(stream);
      continue;
    }
    pieces.push(piece);
    length += piece.length;
  }
  const all = Buffer.concat(pieces);
  if (all.length > bytes) stream.unshift(all.subarray(bytes));
  return all.subarray(0, bytes);
}

/** The round trip of a word through the stand-in's echo. */
export async function echoed(stream: Duplex, word: string): Promise<string> {
  stream.write(word);
  return (await take(stream, word.length)).toString();
}
