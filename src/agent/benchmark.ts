/**
 * How fast this machine is, for choosing among workers: about two seconds of work, none of it on the thread that
 * serves jobs. Figures are comparable between machines only.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { BenchmarkFacts } from '../protocol/facts.ts';

/** ms of each measurement on CPUs. */
const SPELL = 400;
const DISK_BYTES = 32 * 1024 * 1024;
/** ms for the compiler, which takes about half a second on a machine of today. */
const COMPILE_MS = 20_000;

/**
 * What a thread does: builds and sorts tables of words, as a compiler does with symbols, or copies 8 MiB buffers, far
 * beyond a core's caches. Answers rounds a second, or MB a second.
 */
const thread = `
const { parentPort, workerData } = require('node:worker_threads');
const words = () => {
  let state = 1, sum = 0;
  const table = new Map();
  for (let i = 0; i < 4000; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const word = 'symbol' + (state % 1500).toString(36);
    table.set(word, (table.get(word) ?? 0) + word.length);
  }
  for (const [word, count] of [...table].sort((a, b) => (a[0] < b[0] ? -1 : 1))) sum += word.charCodeAt(6) * count;
  return sum;
};
const from = workerData.kind === 'memory' ? Buffer.alloc(8 << 20, 1) : undefined;
const to = workerData.kind === 'memory' ? Buffer.alloc(8 << 20) : undefined;
const once = workerData.kind === 'memory' ? () => from.copy(to) : words;
for (let i = 0; i < 20; i++) once();
const begun = performance.now();
let rounds = 0, passed = 0;
do { once(); rounds++; passed = performance.now() - begun; } while (passed < workerData.ms);
parentPort.postMessage(workerData.kind === 'memory' ? rounds * 8.388608 / passed * 1000 : rounds / passed * 1000);
`;

function measured(kind: 'words' | 'memory'): Promise<number> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(thread, { eval: true, workerData: { kind, ms: SPELL } });
    worker.once('message', (rate: unknown) => {
      resolve(Number(rate));
    });
    worker.once('error', reject);
    worker.once('exit', () => {
      reject(new Error('the measuring thread ended early'));
    });
  });
}

/** MB a second to a file that is on the disk for certain. */
async function disk(folder: string): Promise<number> {
  const chunk = Buffer.alloc(1 << 20, 0x5a);
  const file = await open(join(folder, 'disk'), 'wx');
  try {
    const begun = performance.now();
    for (let written = 0; written < DISK_BYTES; written += chunk.length) await file.write(chunk);
    await file.sync();
    return DISK_BYTES / 1e3 / (performance.now() - begun);
  } finally {
    await file.close();
  }
}

/** A program of 300 functions, the same on every machine. */
function program(): string {
  const functions = Array.from(
    { length: 300 },
    (_, index) =>
      `static int f${index}(int a, int b) { int s = ${index}; for (int i = 0; i < a; i++) { s += (i * b) ^ (s >> ${(index % 7) + 1}); if (s % ${index + 3} == 0) s -= b; } return s; }`,
  );
  const calls = functions.map((_, index) => `f${index}(n, ${index})`).join(' + ');
  return `${functions.join('\n')}\nint all(int n) { return ${calls}; }\n`;
}

/** ms that `cc -O2` takes for that program; null where there is no working one. */
async function compile(folder: string): Promise<number | null> {
  await writeFile(join(folder, 'p.c'), program());
  const begun = performance.now();
  return new Promise((resolve) => {
    const options = { cwd: folder, timeout: COMPILE_MS };
    execFile('cc', ['-O2', '-c', 'p.c', '-o', 'p.o'], options, (error) => {
      resolve(error === null ? performance.now() - begun : null);
    });
  });
}

/** Measures; `parent` is a folder on the disk that jobs use, `cores` what they may use. */
export async function benchmark(parent: string, cores: number): Promise<BenchmarkFacts> {
  const folder = await mkdtemp(join(parent, 'benchmark-'));
  try {
    const single = await measured('words');
    const each = await Promise.all(Array.from({ length: cores }, () => measured('words')));
    const memory = await measured('memory');
    return {
      single,
      all: each.reduce((sum, rate) => sum + rate, 0),
      memory,
      disk: await disk(folder),
      compileMs: await compile(folder),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
