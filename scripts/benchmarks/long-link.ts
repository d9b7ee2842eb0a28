/** 100 MB that do not compress over a way of 50 ms each way, there and back, against `ssh cat` over the same way. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { knownHostsOf, Relay } from '../../test/rig/fleet.ts';
import type { HistoryRow, World } from '../../test/rig/world.ts';
import { median, type Line } from './measure.ts';
import { quote } from './timed-shell.ts';
import type { Stage } from './stage.ts';

const execute = promisify(execFile);

/** ms each way. */
const DELAY = 50;
const BYTES = 100_000_000;
const FILES = 400;

/** The recipes' last words are the time at which they are done, ns; there are as many bytes in the files as in the blob. */
const MAKEFILE = `all:
\t@date +%s%N
blob:
\t@head -c ${BYTES} /dev/urandom > blob; date +%s%N
files:
\t@mkdir files; cd files; head -c ${BYTES} /dev/urandom | split -b ${BYTES / FILES}; date +%s%N
`;

/** A world at the far end of a relay, and ssh over the same relay. */
class Far {
  readonly #stage: Stage;
  readonly #relay: Relay;
  readonly #world: World;
  readonly #folder: string;
  readonly #ssh: string;

  private constructor(stage: Stage, relay: Relay, world: World) {
    this.#stage = stage;
    this.#relay = relay;
    this.#world = world;
    this.#folder = join(stage.folder, 'far');
    mkdirSync(this.#folder, { recursive: true });
    const hosts = join(this.#folder, 'known_hosts');
    writeFileSync(hosts, knownHostsOf(stage.worker, `[127.0.0.1]:${relay.port}`));
    const options = [
      ...['-F', 'none', '-p', String(relay.port), '-i', stage.worker.identityFile],
      ...['-o', 'IdentitiesOnly=yes', '-o', `UserKnownHostsFile=${hosts}`],
      ...['-o', 'ControlMaster=auto', '-o', `ControlPath=${this.#folder}/m`],
      ...['-o', 'ControlPersist=yes', `${stage.worker.user}@127.0.0.1`],
    ];
    this.#ssh = ['ssh', ...options].map((word) => quote(word)).join(' ');
  }

  static async open(stage: Stage): Promise<Far> {
    const relay = await Relay.open(stage.worker);
    try {
      const world = await stage.worldAt({ host: '127.0.0.1', port: relay.port });
      return new Far(stage, relay, world);
    } catch (thrown) {
      await relay.close();
      throw thrown;
    }
  }

  /** Makes the way long, and connects anew over it. */
  async moveAway(): Promise<void> {
    await this.#relay.command({ delay: DELAY, cut: true });
    const cwd = join(this.#folder, 'warm');
    mkdirSync(cwd, { recursive: true });
    writeFileSync(join(cwd, 'Makefile'), MAKEFILE);
    await this.#world.rch(['workers', 'probe', this.#stage.worker.id]);
    await this.#make(cwd, 'all');
    await execute('sh', ['-c', `${this.#ssh} true`]);
  }

  /** MB/s of the first sync of so many files. */
  async push(files: number): Promise<number> {
    const cwd = join(this.#folder, 'push');
    mkdirSync(cwd);
    writeFileSync(join(cwd, 'Makefile'), MAKEFILE);
    for (let at = 0; at < files; at++)
      writeFileSync(join(cwd, `unit${at}.bin`), randomBytes(BYTES / files));
    const { row } = await this.#make(cwd, 'all');
    rmSync(cwd, { recursive: true });
    return rate(row.phases['sync'] ?? NaN);
  }

  /** MB/s from the end of the tool to the end of the shim; `goal`: one blob, or many files. */
  async back(goal: 'blob' | 'files'): Promise<number> {
    const cwd = join(this.#folder, 'back');
    mkdirSync(cwd);
    writeFileSync(join(cwd, 'Makefile'), MAKEFILE);
    const { output, till } = await this.#make(cwd, goal);
    rmSync(cwd, { recursive: true });
    return rate(till - Number(BigInt(output.trim()) / 1000n) / 1000);
  }

  /** MB/s of ssh alone, up or down. */
  async plain(way: 'up' | 'down'): Promise<number> {
    const file = join(this.#folder, 'plain');
    if (way === 'up') writeFileSync(file, randomBytes(BYTES));
    else await this.#stage.there.must(`head -c ${BYTES} /dev/urandom > far-blob`);
    const remote = way === 'up' ? 'cat > far-blob' : 'cat far-blob';
    const line = `${this.#ssh} ${quote(remote)} ${way === 'up' ? '<' : '>'} ${quote(file)}`;
    const took = (await this.#stage.here.must(line)).took;
    await this.#stage.there.must('rm far-blob');
    return rate(took);
  }

  async #make(
    cwd: string,
    goal: string,
  ): Promise<{ row: HistoryRow; output: string; till: number }> {
    const ended = await this.#world.run(['make', goal], { cwd, env: { RCH_FORCE_REMOTE: '1' } });
    const till = performance.timeOrigin + performance.now();
    const [row] = await this.#world.history(1);
    if (ended.code !== 0 || row?.decision !== 'remote')
      throw new Error(`make ${goal}: ${ended.code} ${ended.stderr.toString()} ${row?.reason}`);
    this.#stage.detail(`make ${goal}: ${JSON.stringify(row.phases)}`);
    return { row, output: ended.stdout.toString(), till };
  }

  async close(): Promise<void> {
    await execute('sh', ['-c', `${this.#ssh} -O exit`]).catch(() => undefined);
    await this.#world.dispose();
    await this.#relay.close();
  }
}

function rate(ms: number): number {
  return BYTES / 1e6 / (ms / 1000);
}

type Rates = Record<'push' | 'pushOne' | 'up' | 'blob' | 'files' | 'down', number[]>;

async function measured(far: Far, rounds: number): Promise<Rates> {
  const rates: Rates = { push: [], pushOne: [], up: [], blob: [], files: [], down: [] };
  for (let round = 0; round < rounds; round++) {
    rates.up.push(await far.plain('up'));
    rates.push.push(await far.push(FILES));
    rates.pushOne.push(await far.push(1));
    rates.down.push(await far.plain('down'));
    rates.blob.push(await far.back('blob'));
    rates.files.push(await far.back('files'));
  }
  return rates;
}

export async function longLink(stage: Stage, rounds: number): Promise<Line[]> {
  const far = await Far.open(stage);
  try {
    await far.moveAway();
    const rates = await measured(far, rounds);
    const figure = (value: number): string => `${value.toFixed(1)} MB/s`;
    const line = (what: string, rch: number[], plain: number[], goal: number): Line => ({
      bench: 'long-link',
      what: `${BYTES / 1e6} MB over ${DELAY} ms each way: ${what}`,
      measured: figure(median(rch)),
      baseline: figure(median(plain)),
      ratio: median(rch) / median(plain),
      goal: `≥ ${goal}×`,
      met: median(rch) >= goal * median(plain),
    });
    return [
      line(`a first sync of ${FILES} files; against cat | ssh`, rates.push, rates.up, 1),
      line('a first sync of one file; against cat | ssh', rates.pushOne, rates.up, 1.5),
      line(`the return of ${FILES} files; against ssh cat`, rates.files, rates.down, 1),
      line('the return of one file; against ssh cat', rates.blob, rates.down, 1.5),
    ];
  } finally {
    await far.close();
  }
}
