/** The embedded transport: an agent as a child of ours on this machine, in a folder of its own; it ends with us. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, openSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { deadline } from '../../src/base/deadline.ts';
import { carryingNode } from '../../src/base/memory.ts';
import { startTimeOf } from '../../src/base/processes.ts';
import { fail, ok, type Result } from '../../src/base/result.ts';
import { childScript } from './child-script.ts';
import type { Reach, RemoteScript, TransportNeeds } from './transport.ts';

/** For the agent to listen, ms; and between two starts: one that was left behind notices within 1 s. */
const START_MS = 10_000;
const RETRY_MS = 300;

/** Runs scripts that are one stream to the local agent, whatever their text. */
export class EmbeddedReach implements Reach {
  readonly striped = false;
  readonly closed: Promise<string>;
  readonly #argv: readonly string[];
  readonly #child: ChildProcess;
  readonly #running = new Set<RemoteScript>();

  constructor(argv: readonly string[], child: ChildProcess) {
    this.#argv = argv;
    this.#child = child;
    this.closed = new Promise((resolve) => {
      child.once('exit', () => {
        for (const running of this.#running) running.stream.destroy();
        resolve('the embedded agent ended');
      });
    });
  }

  async run(): Promise<Result<RemoteScript>> {
    const started = await childScript(this.#argv);
    if (!started.ok) return started;
    const running = started.value;
    this.#running.add(running);
    running.stream.once('close', () => this.#running.delete(running));
    return started;
  }

  close(): void {
    for (const running of this.#running) running.stream.destroy();
    this.#child.kill('SIGTERM');
  }
}

/** How long the agent may take to end when we do, ms, and between two looks. */
const END_MS = 2000;
const LOOK_MS = 5;

/**
 * Takes the agent along when this process exits, and waits for it: whoever was told that rch stopped finds nothing
 * running. An exit handler must be synchronous.
 */
function endWithUs(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  const started = startTimeOf(pid);
  const end = (): void => {
    const clock = new Int32Array(new SharedArrayBuffer(4));
    const till = performance.now() + END_MS;
    child.kill('SIGTERM');
    while (startTimeOf(pid) === started && performance.now() < till)
      Atomics.wait(clock, 0, 0, LOOK_MS);
    if (startTimeOf(pid) === started) child.kill('SIGKILL');
  };
  process.once('exit', end);
  child.once('exit', () => process.off('exit', end));
}

type Started = { readonly child: ChildProcess; readonly ready: boolean };

/** Starts the agent; `ready` once it listens, false when it ended before (another one may be about to leave). */
async function startAgent(
  argv: readonly string[],
  log: string,
  signal: AbortSignal,
): Promise<Started> {
  const errors = openSync(log, 'a', 0o600);
  const child = spawn(process.execPath, [...carryingNode, ...argv], {
    stdio: ['ignore', 'pipe', errors],
  });
  closeSync(errors);
  const { stdout } = child;
  if (stdout === null) throw new Error('the agent was started without a pipe');
  child.on('error', () => undefined);
  endWithUs(child);
  const ready = await new Promise<boolean>((resolve) => {
    const over = (): void => {
      resolve(false);
    };
    stdout.once('data', () => {
      resolve(true);
    });
    stdout.once('end', over);
    signal.addEventListener('abort', over, { once: true });
  });
  stdout.resume();
  if (!ready) child.kill('SIGKILL');
  return { child, ready };
}

/** Starts the agent; `hash` names its socket. It ends when we do. */
export async function reachEmbedded(hash: string, needs: TransportNeeds): Promise<Result<Reach>> {
  const { layout } = needs;
  const folder = join(layout.cache, 'embedded');
  const socket = join(folder, 'run', `${hash}.sock`);
  const log = join(folder, 'log', 'start.log');
  for (const part of ['run', 'log'])
    mkdirSync(join(folder, part), { recursive: true, mode: 0o700 });
  const argv = [
    join(layout.lib, 'rch-wkr.mjs'),
    'serve',
    '--folder',
    folder,
    '--socket',
    socket,
    '--parent',
    String(process.pid),
  ];
  const { signal, over } = deadline(START_MS, needs.signal);
  try {
    while (!signal.aborted) {
      const { child, ready } = await startAgent(argv, log, signal);
      if (ready)
        return ok(new EmbeddedReach([join(layout.lib, 'rch-run'), 'attach', socket], child));
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    over();
  }
  return fail(`the embedded agent did not start; its log is ${log}`);
}
