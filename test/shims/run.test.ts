/** Streams, end and signals of a job, with and without namespaces. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunSpec, SandboxMethod } from '../../src/protocol/run.ts';
import { StreamKind } from '../../src/protocol/shim.ts';
import {
  bytes,
  compileRun,
  marked,
  mounts,
  openFolder,
  processesWith,
  residentKib,
  RunJob,
  specOf,
} from './run-rig.ts';

let folder = '';
let binary = '';
let patient = '';

beforeAll(() => {
  folder = openFolder();
  binary = compileRun(folder, 'plain');
  patient = compileRun(folder, 'patient');
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Lets the machine go on until `done` holds, 50 s at most: for what nobody tells us. */
async function turnsUntil(done: () => boolean): Promise<void> {
  const deadline = Date.now() + 50_000;
  while (!done()) {
    if (Date.now() > deadline) throw new Error('it did not come to be');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const methods = Object.entries(SandboxMethod);

describe.each(methods)('with method %s', (_name, method) => {
  const start = (script: string, changes: Partial<RunSpec> = {}, credit = true): RunJob =>
    new RunJob({ binary, spec: specOf(script, { method, ...changes }), credit });

  test('both streams carry the exact bytes, binary and without a final newline', async () => {
    const source = mkdtempSync(join(folder, 'bytes-'));
    const data = randomBytes(300_000);
    writeFileSync(join(source, 'data'), data);
    const shown = method === SandboxMethod.namespaces ? '/work/shown' : source;
    const job = start(`cat ${shown}/data; head -c 1000 ${shown}/data >&2`, {
      ...(method === SandboxMethod.namespaces ? mounts([{ source, target: shown }]) : {}),
    });
    expect(await job.code()).toBe(0);
    expect(job.out(1).equals(data)).toBe(true);
    expect(job.out(2).equals(data.subarray(0, 1000))).toBe(true);
  });

  test('two streams that are one pipe keep their order', async () => {
    const job = start('i=0; while [ $i -lt 500 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done', {
      joined: true,
    });
    expect(await job.code()).toBe(0);
    const wanted = Array.from({ length: 500 }, (_, i) => `o${i}\ne${i}\n`).join('');
    expect(job.text()).toBe(wanted);
    expect(job.text(2)).toBe('');
  });

  test('an exit code and a signal are told apart, with the times of the run', async () => {
    const before = BigInt(Date.now() - 1000) * 1_000_000n;
    const exited = start('exit 101');
    expect(await exited.end()).toMatchObject({ type: 'exit', kind: 0, value: 101 });
    const killed = start('kill -SEGV $$');
    const last = await killed.end();
    expect(last).toMatchObject({ type: 'exit', kind: 1, value: 11 });
    const started = await killed.first('started');
    if (last.type !== 'exit') throw new Error('no exit');
    expect(started.at).toBeGreaterThan(before);
    expect(last.at).toBeGreaterThanOrEqual(started.at);
    expect(last.maxRss).toBeGreaterThan(100n);
  });

  test('the time of children is counted', async () => {
    const job = start('sh -c "i=0; while [ \\$i -lt 100000 ]; do i=\\$((i+1)); done"; true');
    const last = await job.end();
    if (last.type !== 'exit') throw new Error('no exit');
    expect(last.userTime + last.systemTime).toBeGreaterThan(10_000n);
  });

  test('a descriptor that is closed here is closed there, and /dev/null is /dev/null', async () => {
    const job = start('test -e /proc/self/fd/1 || echo closed >&2; readlink /proc/self/fd/0 >&2', {
      inKind: StreamKind.devNull,
      outKind: StreamKind.closed,
    });
    await job.end();
    expect(job.text(2)).toBe('closed\n/dev/null\n');
    const all = start('exit 0', {
      inKind: StreamKind.closed,
      outKind: StreamKind.closed,
      errKind: StreamKind.closed,
    });
    expect(await all.code()).toBe(0);
  });

  test('the tool has no descriptor but its own three, default signals, and the umask asked for', async () => {
    const job = start('ls /proc/$$/fd; umask; exec grep -E "Sig(Blk|Ign)" /proc/self/status', {
      umask: 0o027,
    });
    expect(await job.code()).toBe(0);
    expect(job.text()).toMatch(/^0\n1\n2\n0027\nSigBlk:\s0+\nSigIgn:\s0+\n$/);
  });

  test('the tool ignores and blocks what its caller did, but what stops a reader of its terminal', async () => {
    const bit = (signo: number): bigint => 1n << BigInt(signo - 1);
    const signals = Buffer.alloc(16);
    // SIGHUP, SIGPIPE, SIGTTIN; SIGUSR1, SIGTTOU.
    signals.writeBigUInt64LE(bit(1) | bit(13) | bit(21));
    signals.writeBigUInt64LE(bit(10) | bit(22), 8);
    const job = start('exec grep -E "Sig(Blk|Ign)" /proc/self/status', { signals });
    expect(await job.code()).toBe(0);
    expect(job.text()).toBe('SigBlk:\t0000000000000200\nSigIgn:\t0000000000001001\n');
  });

  test('affinity bounds what nproc counts, and limits are set', async () => {
    const limits = Buffer.alloc(16 * 8);
    limits.fill(0xff);
    limits.writeBigUInt64LE(0n, 4 * 16);
    limits.writeBigUInt64LE(0n, 4 * 16 + 8);
    limits.writeBigUInt64LE(123n, 7 * 16);
    limits.writeBigUInt64LE(456n, 7 * 16 + 8);
    const job = start('nproc; ulimit -n; ulimit -Hn; ulimit -c', {
      affinity: [0],
      rlimits: limits,
    });
    expect(await job.code()).toBe(0);
    expect(job.text()).toBe('1\n123\n456\n0\n');
  });

  test('arguments and environment arrive as they are, bytes that are no text included', async () => {
    const odd = Buffer.from([0x41, 0xff, 0x0a, 0x20, 0x27, 0x22]);
    const job = start('', {
      argv: [bytes('sh'), bytes('-c'), bytes('printf "%s" "$1$ODD"'), bytes(''), odd],
      env: [Buffer.concat([bytes('ODD='), odd])],
    });
    expect(await job.code()).toBe(0);
    expect(job.out().equals(Buffer.concat([odd, odd]))).toBe(true);
  });

  test('a folder or program that is missing is said by its step and errno', async () => {
    const noFolder = start('true', { cwd: bytes('/no/such/folder') });
    expect(await noFolder.end()).toMatchObject({ type: 'failed', stage: 'chdir', error: 2 });
    const noTool = start('true', { tool: bytes('/no/such/tool') });
    expect(await noTool.end()).toMatchObject({ type: 'failed', stage: 'exec', error: 2 });
    const noProgram = start('true', { tool: bytes('/etc/passwd') });
    expect(await noProgram.end()).toMatchObject({ type: 'failed', stage: 'exec', error: 13 });
    expect(noProgram.of('started')).toHaveLength(0);
  });

  test('no more than the window is in flight without credit', async () => {
    const job = start('yes', { window: 100_000 }, false);
    await job.until(() => job.out().length === 100_000);
    job.send({ type: 'credit', stream: 1, bytes: 5 });
    await job.until(() => job.out().length === 100_005);
    job.send({ type: 'kill' });
    await job.gone();
    expect(job.out().length).toBe(100_005);
  });

  test('200 MB flow through a small window in little memory', async () => {
    const job = start('head -c 200000000 /dev/zero; echo end >&2', { window: 65_536 });
    await job.until(() => job.out(1).length > 0);
    const early = residentKib(job.child.pid ?? 0);
    let received = 0;
    const sizes: number[] = [];
    job.wire.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (sizes.length * 20_000_000 < received) sizes.push(residentKib(job.child.pid ?? 0));
    });
    expect(await job.code()).toBe(0);
    expect(job.out().length).toBe(200_000_000);
    expect(Math.max(...sizes) - early).toBeLessThan(1024);
    expect(job.text(2)).toBe('end\n');
  });

  test('standard input is used exactly as far as the tool reads it', async () => {
    const send = async (script: string, data: Buffer): Promise<RunJob> => {
      const job = start(script, { inKind: StreamKind.file });
      job.send({ type: 'stdin', offset: 0n, data });
      job.send({ type: 'stdinEof', offset: BigInt(data.length) });
      await job.end();
      return job;
    };
    const used = (job: RunJob): bigint => job.of('stdinUsed').at(-1)?.offset ?? 0n;
    const lines = bytes('one\ntwo\nthree\n');
    const exact = await send('dd bs=1 count=5 2>/dev/null', lines);
    expect([exact.text(), used(exact)]).toEqual(['one\nt', 5n]);
    const read = await send('read line; echo "<$line>"', lines);
    expect([read.text(), used(read)]).toEqual(['<one>\n', 4n]);
    const none = await send('true', lines);
    expect(none.of('stdinUsed')).toEqual([]);
    const all = await send('cat', randomBytes(500_000));
    expect(used(all)).toBe(500_000n);
    expect(all.out().length).toBe(500_000);
    const big = await send('dd bs=1000 count=70 iflag=fullblock 2>/dev/null', randomBytes(1 << 20));
    expect(used(big)).toBe(70_000n);
  });

  test('use of standard input is told while the tool runs, and repeated pieces are dropped', async () => {
    const job = start('read a; echo "$a"; read b; echo "$b"; cat', { inKind: StreamKind.pipe });
    job.send({ type: 'stdin', offset: 0n, data: bytes('one\n') });
    await job.until(() => job.text() === 'one\n');
    expect((await job.first('stdinUsed')).offset).toBe(4n);
    job.send({ type: 'stdin', offset: 0n, data: bytes('one\ntwo\n') });
    await job.until(() => job.text() === 'one\ntwo\n');
    await job.until(() => job.of('stdinUsed').at(-1)?.offset === 8n);
    job.send({ type: 'stdin', offset: 4n, data: bytes('two\n') });
    job.send({ type: 'stdinEof', offset: 8n });
    expect(await job.code()).toBe(0);
    expect(job.text()).toBe('one\ntwo\n');
  });

  test('the tool gets SIGPIPE once the stream is closed here', async () => {
    const job = start('exec yes');
    await job.until(() => job.out().length > 10_000);
    job.send({ type: 'outClosed', stream: 1 });
    expect(await job.end()).toMatchObject({ type: 'exit', kind: 1, value: 13 });
  });

  test('a signal reaches the whole group', async () => {
    const child = 'trap "echo child; exit" TERM; echo ready; while :; do sleep 0.05; done';
    const job = start(`trap "wait; exit 7" TERM; (${child}) & wait`);
    await job.until(() => job.text().includes('ready'));
    job.send({ type: 'signal', signo: 15 });
    const last = await job.end();
    expect(last).toMatchObject({ type: 'exit', kind: 0, value: 7 });
    expect(job.text()).toBe('ready\nchild\n');
  });

  test('a stop is told and undone', async () => {
    const job = start('echo ready; read x; echo on', { inKind: StreamKind.pipe });
    await job.until(() => job.text() === 'ready\n');
    job.send({ type: 'signal', signo: 20 });
    expect((await job.first('stopped')).signo).toBe(20);
    job.send({ type: 'signal', signo: 18 });
    job.send({ type: 'stdin', offset: 0n, data: bytes('\n') });
    expect(await job.code()).toBe(0);
    expect(job.text()).toBe('ready\non\n');
  });

  test('what the tool left in the background is ended, and its last words are heard', async () => {
    const { mark, env } = marked();
    const spec = specOf(
      'setsid sh -c "sleep 0.2; echo late" & setsid sleep 1000 >/dev/null 2>&1 & echo first',
      { method, env },
    );
    const job = new RunJob({ binary: patient, spec });
    expect(await job.code()).toBe(0);
    expect(job.text()).toBe('first\nlate\n');
    expect(processesWith(mark)).toEqual([]);
  });

  test('a process that holds the output open does not hold up the exit for long', async () => {
    const { mark, env } = marked();
    const job = start('setsid sh -c "sleep 1000" & echo first', { env });
    expect(await job.code()).toBe(0);
    expect(job.text()).toBe('first\n');
    expect(processesWith(mark)).toEqual([]);
  });

  const tree =
    'trap "" TERM HUP INT; setsid sh -c "trap \\"\\" TERM HUP; sleep 1000 & sleep 1000" & (sleep 1000 &) ; echo ready; wait';

  test.each([
    [
      'kill',
      (job: RunJob) => {
        job.send({ type: 'kill' });
      },
    ],
    ['the end of descriptor 3', (job: RunJob) => void job.wire.destroy()],
    ['the death of rch-run', (job: RunJob) => void job.child.kill('SIGKILL')],
  ])('%s ends every process of the job', async (_what, end) => {
    const { mark, env } = marked();
    const job = start(tree, { env });
    await job.until(() => job.text() === 'ready\n');
    await turnsUntil(() => processesWith(mark).length >= 5);
    end(job);
    await job.gone();
    await turnsUntil(() => processesWith(mark).length === 0);
  });

  test('a tool that kills everything it can reach ends as killed', async () => {
    if (method === SandboxMethod.none) return;
    const job = start('kill -9 -1; sleep 5');
    expect(await job.end()).toMatchObject({ type: 'exit', kind: 1, value: 9 });
  });
});

test('a job without work waits for its processes alone, and for no time to pass', async () => {
  const log = join(folder, 'waits');
  const calls = 'poll,ppoll,select,pselect6,epoll_wait,epoll_pwait,nanosleep,clock_nanosleep';
  const under = ['strace', '-f', '-qq', '-o', log, '-e', `trace=${calls}`];
  const job = new RunJob({ binary, under, spec: specOf('', { tool: bytes('/bin/true') }) });
  expect(await job.code()).toBe(0);
  const waits = readFileSync(log, 'latin1');
  expect(waits).toMatch(/poll\(/);
  expect(waits.split('\n').filter((line) => /Timeout|nanosleep/.test(line))).toEqual([]);
  expect(readFileSync('/proc/mounts', 'latin1')).not.toContain('rch-old');
});
