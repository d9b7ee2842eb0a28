/** A worker that lies about what a job changed: nothing outside the root is touched, and the command ends with 102. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { endProcessesOf } from '../rig/processes.ts';
import { ended as endOf, World } from '../rig/world.ts';
import { write } from './projects.ts';
import { tiny, within, words } from './trouble.ts';

const fixture = join(dirname(dirname(fileURLToPath(import.meta.url))), 'fixtures', 'liar.ts');

let world: World;
let base: string;

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'rch-liar-'));
  const liar = join(base, 'liar.mjs');
  await build({
    entryPoints: [fixture],
    outfile: liar,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'silent',
  });
  const command = JSON.stringify([process.execPath, liar, join(base, 'lie')]);
  world = await World.create(
    `[[workers]]\nid = "liar"\ntransport = "command"\ncommand = ${command}\n`,
  );
  await world.start();
});

afterAll(async () => {
  await world.rch(['daemon', 'stop']);
  await endProcessesOf(world.home);
  await world.dispose();
  rmSync(base, { recursive: true, force: true });
});

/** The link processes. */
async function links(): Promise<number[]> {
  const status = await world.rch(['daemon', 'status', '--json']);
  const { pid } = JSON.parse(status) as { pid: number };
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return children.trim().split(' ').filter(Boolean).map(Number);
}

/** Everything below a folder, with contents. */
function picture(folder: string): string {
  return execFileSync('sh', ['-c', 'find . | sort; find . -type f | sort | xargs -r cksum'], {
    cwd: folder,
    encoding: 'utf8',
  });
}

describe('a worker that lies', () => {
  it.each([
    ['escape', /\.\./],
    ['absolute', /absolute/],
    ['through a link', /below what is not a folder/],
    ['through a new link', /below what is not a folder/],
    ['another size', /size|more than it announced|shorter/],
    ['another hash', /no result offers/],
    ['another content', /not that of its hash|another size|more than it announced/],
    ['a bomb', /no space left here/],
    ['a flood', /more output than was asked for/],
    ['another program', /a program that is not of this command/],
    ['another root', /returns files into \/etc/],
    ['a root of its own', /returns files into /],
    ['a FIFO outside', /\.\./],
    ['a long past', /more files than it changed/],
  ])('by %s leaves all as it was', async (lie, reason) => {
    const scene = join(base, lie.replaceAll(' ', '-'));
    const folder = join(scene, 'project');
    mkdirSync(join(scene, 'outside'), { recursive: true });
    mkdirSync(folder);
    // No two programs are the same, so that each has to come over the wire.
    const source = `${tiny['x.c'] ?? ''}const char *lie = "${lie}";\n`;
    // Only a link that was not there before asks how all stood then.
    const recovers = lie === 'a long past';
    const slow = recovers ? { Makefile: 'x: x.c\n\t@echo begun; read -r go; cc x.c -o x\n' } : {};
    write(folder, { ...tiny, ...slow, 'x.c': source, x: 'old' });
    execFileSync('touch', ['-d', '2001-01-01', 'x'], { cwd: folder });
    symlinkSync('../outside', join(folder, 'out'));
    const before = picture(scene);
    writeFileSync(join(base, 'lie'), lie);
    const env = { RCH_FORCE_REMOTE: '1' };
    const child = world.spawn(['make'], { cwd: folder, env });
    const end = endOf(child);
    child.stdin?.on('error', () => undefined);
    if (recovers && child.stdout !== null) {
      await within(once(child.stdout, 'data'), 'the beginning');
      for (const pid of await links()) process.kill(pid, 'SIGKILL');
    }
    child.stdin?.end('go\n');
    const ended = await within(end);
    expect(ended.code, words(ended)).toBe(102);
    expect(ended.stderr.toString()).toMatch(reason);
    expect(picture(scene)).toBe(before);
    rmSync(join(base, 'lie'));
    const honest = await within(world.run(['make'], { cwd: folder, env }));
    expect(honest.code, words(honest)).toBe(0);
    const [row] = await world.history(1);
    expect(row, row?.reason).toMatchObject({ decision: 'remote', exit: 0 });
    expect(execFileSync(join(folder, 'x'), { encoding: 'utf8' })).toBe('42\n');
  });
});
