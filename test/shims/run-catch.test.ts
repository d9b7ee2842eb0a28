/** `cargo run`: built on the worker, and the program itself handed back instead of run there. */
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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
  RunJob,
  specOf,
} from './run-rig.ts';

let folder = '';
let binary = '';

beforeAll(() => {
  folder = openFolder();
  binary = compileRun(folder, 'plain');
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe.each(Object.entries(SandboxMethod))('with method %s', (_name, method) => {
  /** A project whose `tool` becomes a proxy, then a builder, then target/prog; and its path in the job. */
  const project = (): { path: string; changes: Partial<RunSpec> } => {
    const tree = mkdtempSync(join(folder, 'project-'));
    chmodSync(tree, 0o755);
    mkdirSync(join(tree, 'target/debug'), { recursive: true });
    copyFileSync('/bin/echo', join(tree, 'target/debug/prog'));
    writeFileSync(join(tree, 'proxy'), '#!/bin/sh\nexec ./builder "$@"\n', { mode: 0o755 });
    const builder = [
      '#!/bin/sh',
      'echo compiling >&2',
      './target/debug/prog from a child',
      'cd target; BUILT=yes exec ./debug/prog "$@"',
    ];
    writeFileSync(join(tree, 'builder'), `${builder.join('\n')}\n`, { mode: 0o755 });
    const path = method === SandboxMethod.namespaces ? '/home/ada/project' : tree;
    return {
      path,
      changes: {
        method,
        ...mounts(method === SandboxMethod.namespaces ? [{ source: tree, target: path }] : []),
        tool: bytes(`${path}/proxy`),
        argv: ['proxy', 'one', 'two words', ''].map(bytes),
        cwd: bytes(path),
        catchExec: [bytes('/no/such/folder'), bytes(`${path}/target/`)],
      },
    };
  };

  test('a program below a caught folder is told with all it was given, and not run', async () => {
    const { path, changes } = project();
    const { mark, env } = marked();
    const job = new RunJob({ binary, spec: specOf('', { ...changes, env }) });
    const last = await job.end();
    if (last.type !== 'execHere') throw new Error(JSON.stringify(last.type));
    expect(last.path.toString()).toBe(`${path}/target/debug/prog`);
    expect(last.cwd.toString()).toBe(`${path}/target`);
    expect(last.argv.map(String)).toEqual(['./debug/prog', 'one', 'two words', '']);
    expect(last.env.map(String)).toContain('BUILT=yes');
    expect(last.env.map(String)).toContain(mark);
    expect(job.text(1)).toBe('from a child\n');
    expect(job.text(2)).toBe('compiling\n');
    expect(job.of('exit')).toEqual([]);
    expect(job.of('started')).toHaveLength(1);
    expect(processesWith(mark)).toEqual([]);
  });

  test('a tool that becomes nothing caught ends as always', async () => {
    const { changes } = project();
    const job = new RunJob({
      binary,
      spec: specOf('', { ...changes, catchExec: [bytes('/home/ada/proj')] }),
    });
    expect(await job.code()).toBe(0);
    expect(job.text()).toBe('from a child\none two words \n');
  });

  test('signals, stops and the terminal work while the tool is watched', async () => {
    const watched = { method, catchExec: [bytes('/no/such/folder')] };
    const killed = new RunJob({ binary, spec: specOf('kill -SEGV $$', watched) });
    expect(await killed.end()).toMatchObject({ type: 'exit', kind: 1, value: 11 });
    const stopped = new RunJob({
      binary,
      spec: specOf('echo ready; read x', {
        ...watched,
        inKind: StreamKind.pipe,
      }),
    });
    await stopped.until(() => stopped.text() === 'ready\n');
    stopped.send({ type: 'signal', signo: 20 });
    expect((await stopped.first('stopped')).signo).toBe(20);
    stopped.send({ type: 'signal', signo: 18 });
    stopped.send({ type: 'signal', signo: 15 });
    expect(await stopped.end()).toMatchObject({ type: 'exit', kind: 1, value: 15 });
    const reader = new RunJob({
      binary,
      spec: specOf('read x; echo "<$x>"; read y; echo "<$y>"', {
        ...watched,
        inKind: StreamKind.tty,
        outKind: StreamKind.tty,
        errKind: StreamKind.tty,
      }),
    });
    await reader.first('ttyWant');
    reader.send({ type: 'ttyInput', data: bytes('one\n') });
    await reader.first('ttyWant', 2);
    reader.send({ type: 'ttyInput', data: bytes('two\n') });
    expect(await reader.code()).toBe(0);
    expect(reader.text(3)).toBe('<one>\n<two>\n');
  });

  test('a failed start is told while the tool is watched', async () => {
    const job = new RunJob({
      binary,
      spec: specOf('', { method, tool: bytes('/no/such/tool'), catchExec: [bytes('/x')] }),
    });
    expect(await job.end()).toMatchObject({ type: 'failed', stage: 'exec', error: 2 });
  });
});
