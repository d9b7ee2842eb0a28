/** rch-run under ASan and UBSan: whole jobs, then frames that are broken in every way. */
import { randomInt } from 'node:crypto';
import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encode } from '../../src/protocol/codec.ts';
import { runMessages, SandboxMethod } from '../../src/protocol/run.ts';
import { StreamKind } from '../../src/protocol/shim.ts';
import { bytes, compileRun, mounts, openFolder, readOnly, RunJob, specOf } from './run-rig.ts';

let folder = '';
let binary = '';

beforeAll(() => {
  folder = openFolder();
  binary = compileRun(folder, 'sanitized');
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** What a sanitizer printed; nothing else is ever printed. */
const complaints = (job: RunJob): string => Buffer.concat(job.stderr).toString();

test.each(Object.entries(SandboxMethod))(
  'whole jobs are clean with method %s',
  async (_n, method) => {
    const plain = new RunJob({
      binary,
      spec: specOf('head -c 300000 /dev/zero; cat >&2; read x < /dev/tty || true; exit 3', {
        method,
        ...mounts(
          method === SandboxMethod.namespaces
            ? [{ source: folder, target: '/usr/share/a/b', flags: readOnly }]
            : [],
        ),
        inKind: StreamKind.pipe,
        affinity: [0, 5000],
        rlimits: Buffer.alloc(16, 0xff),
        catchExec: [bytes('/nothing')],
      }),
    });
    plain.send({ type: 'stdin', offset: 0n, data: Buffer.alloc(200_000, 'x') });
    plain.send({ type: 'stdinEof', offset: 200_000n });
    expect(await plain.code()).toBe(3);
    expect([plain.out(1).length, plain.out(2).length >= 200_000]).toEqual([300_000, true]);
    expect(complaints(plain)).toBe('');
    const tty = new RunJob({
      binary,
      spec: specOf('stty -echo; read x; stty echo; echo "<$x>"; exec sleep 100', {
        method,
        inKind: StreamKind.tty,
        outKind: StreamKind.tty,
        errKind: StreamKind.tty,
      }),
    });
    await tty.first('ttyWant');
    tty.send({ type: 'ttyInput', data: bytes('\x03abc\n') });
    await tty.until(() => tty.text(3).includes('abc>'));
    tty.send({ type: 'resize', rows: 1, cols: 2, xpixel: 3, ypixel: 4 });
    tty.send({ type: 'signal', signo: 15 });
    expect(await tty.end()).toMatchObject({ type: 'exit', kind: 1, value: 15 });
    expect(complaints(tty)).toBe('');
    const failed = new RunJob({ binary, spec: specOf('', { method, cwd: bytes('/none') }) });
    expect(await failed.end()).toMatchObject({ type: 'failed', stage: 'chdir' });
    expect(complaints(failed)).toBe('');
  },
);

/** Sends raw bytes in place of a spec and waits for rch-run to be gone. */
async function raw(data: Buffer): Promise<RunJob> {
  const job = new RunJob({ binary });
  job.wire.write(data);
  job.wire.end();
  await job.gone();
  return job;
}

const good = encode(runMessages, specOf('true', { method: SandboxMethod.none }));

test('a spec that is cut short, at any length, runs nothing and is clean', async () => {
  for (let cut = 0; cut < good.length; cut += 1 + Math.floor(cut / 8)) {
    const short = Buffer.from(good.subarray(0, cut));
    const job = await raw(short);
    expect(complaints(job)).toBe('');
    expect(job.of('started')).toEqual([]);
    if (cut < 5) continue;
    short.writeUInt32LE(short.length - 4, 0);
    const relabelled = await raw(short);
    expect(complaints(relabelled)).toBe('');
    expect(relabelled.of('started')).toEqual([]);
  }
});

test('specs with broken bytes never trip a sanitizer', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      async (changes) => {
        const data = Buffer.from(good);
        for (const [at, value] of changes) data.writeUInt8(value, at);
        data.writeUInt32LE(data.length - 4, 0);
        expect(complaints(await raw(data))).toBe('');
      },
    ),
    { numRuns: 60 },
  );
});

test('garbage in place of frames ends the job and is clean', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 64 }),
      fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8, 9, 77),
      async (body, number) => {
        const job = new RunJob({
          binary,
          spec: specOf('exec sleep 100', {
            method: SandboxMethod.none,
            inKind: StreamKind.tty,
            outKind: StreamKind.tty,
          }),
        });
        await job.first('started');
        const head = Buffer.alloc(5);
        head.writeUInt32LE(body.length + 1, 0);
        head.writeUInt8(number, 4);
        job.wire.write(Buffer.concat([head, body]));
        job.wire.end();
        await job.gone();
        expect(complaints(job)).toBe('');
      },
    ),
    { numRuns: 60 },
  );
});

test('frames that arrive byte by byte are frames', async () => {
  const job = new RunJob({ binary });
  const frames = Buffer.concat([
    encode(runMessages, specOf('cat', { inKind: StreamKind.pipe, method: SandboxMethod.none })),
    encode(runMessages, { type: 'stdin', offset: 0n, data: bytes('bit by bit') }),
    encode(runMessages, { type: 'stdinEof', offset: 10n }),
  ]);
  for (let at = 0; at < frames.length;) {
    const next = Math.min(frames.length, at + randomInt(1, 4));
    await new Promise((resolve) => job.wire.write(frames.subarray(at, next), resolve));
    at = next;
  }
  expect(await job.code()).toBe(0);
  expect(job.text()).toBe('bit by bit');
  expect(complaints(job)).toBe('');
});

test('a frame too large to be one ends the job', async () => {
  const job = new RunJob({ binary, spec: specOf('sleep 100', { method: SandboxMethod.none }) });
  await job.first('started');
  job.wire.write(Buffer.from([0xff, 0xff, 0xff, 0x7f, 3]));
  await job.gone();
  expect(complaints(job)).toBe('');
});
