import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mapNinjaDeps, mapNinjaLog, ninjaMap } from '../../src/tree/ninja.ts';
import { stamp, type StampRule } from '../../src/tree/stamps.ts';
import { folder } from './rig.ts';

const hour = 3_600_000_000_000n;
const rule: StampRule = { from: 1_000n, till: 2_000n, offset: 500n, floor: 0n, cap: 10_000n };

function hasNinja(): boolean {
  try {
    execFileSync('ninja', ['--version']);
    return true;
  } catch {
    return false;
  }
}

/** A deps log as ninja's src/deps_log.cc writes it. */
function deps(version: number, mtime: bigint): Buffer {
  const u32 = (n: number): Buffer => {
    const b = Buffer.alloc(4);
    b.writeUInt32LE(n);
    return b;
  };
  const path = (text: string, id: number): Buffer =>
    Buffer.concat([u32(text.length + 4), Buffer.from(text), u32(~id >>> 0)]);
  const time = Buffer.alloc(version === 3 ? 4 : 8);
  if (version === 3) time.writeInt32LE(Number(mtime));
  else time.writeBigInt64LE(mtime);
  const record = Buffer.concat([u32(0), time, u32(1)]);
  const head = [Buffer.from('# ninjadeps\n'), u32(version), path('ab.o', 0), path('ab.h', 1)];
  return Buffer.concat([...head, u32((record.length | 0x80000000) >>> 0), record]);
}

describe("ninja's log", () => {
  test.each([5, 6, 7])('version %i has its mtimes mapped, and nothing else', (version) => {
    const log = `# ninja log v${version}\n1\t2\t1500\tout/a.o\tdeadbeef\n3\t4\t999\tb.o\t1500\n5\t6\t1600\ttorn`;
    const mapped = mapNinjaLog(Buffer.from(log), rule).toString();
    expect(mapped).toBe(log.replace('\t1500\tout', '\t1000\tout'));
  });

  test('of another version, or that is no log, stays as it is', () => {
    for (const text of ['# ninja log v4\n1\t2\t1500\ta\tb\n', 'x\n1\t2\t1500\ta\tb\n', ''])
      expect(mapNinjaLog(Buffer.from(text), rule).toString()).toBe(text);
    const odd = '# ninja log v5\n1\t2\t15x0\ta\tb\n1\t2\t1500\n\n';
    expect(mapNinjaLog(Buffer.from(odd), rule).toString()).toBe(odd);
  });
});

describe("ninja's deps", () => {
  test('version 4 has its mtimes mapped', () => {
    expect(mapNinjaDeps(deps(4, 1500n), rule).equals(deps(4, 1000n))).toBe(true);
    expect(mapNinjaDeps(deps(4, 999n), rule).equals(deps(4, 999n))).toBe(true);
  });

  test('version 3 has its seconds mapped to one in which the output is not newer', () => {
    const second = 1_000_000_000n;
    const seconds = {
      from: 100n * second + 5n,
      till: 200n * second,
      offset: hour,
      floor: 0n,
      cap: 10_000n * second,
    };
    const shifted = { ...seconds, offset: -50n * second };
    expect(mapNinjaDeps(deps(3, 150n), shifted).equals(deps(3, 200n))).toBe(true);
    expect(mapNinjaDeps(deps(3, 100n), shifted).equals(deps(3, 150n))).toBe(true);
    expect(mapNinjaDeps(deps(3, 99n), shifted).equals(deps(3, 99n))).toBe(true);
  });

  test('with a torn tail keep it, and map what stands before it', () => {
    const whole = deps(4, 1500n);
    const tail = whole.subarray(16).subarray(-20, -3);
    const mapped = mapNinjaDeps(Buffer.concat([whole, tail]), rule);
    expect(mapped.equals(Buffer.concat([deps(4, 1000n), tail]))).toBe(true);
  });

  test('of another version stay as they are', () => {
    expect(mapNinjaDeps(deps(5, 1500n), rule).equals(deps(5, 1500n))).toBe(true);
  });
});

test('no garbage makes the mapping throw or change a length of the deps', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      for (const version of [3, 4]) {
        const head = deps(version, 1n).subarray(0, 16);
        const input = Buffer.concat([head, bytes]);
        expect(mapNinjaDeps(input, rule).length).toBe(input.length);
      }
      mapNinjaLog(Buffer.concat([Buffer.from('# ninja log v5\n'), bytes]), rule);
    }),
    { numRuns: 1000 },
  );
});

test.skipIf(!hasNinja())(
  'a build moved in time by the rule has no work to do for the real ninja',
  () => {
    const at = folder();
    const ninja = (): string => execFileSync('ninja', ['-C', at], { encoding: 'utf8' });
    fs.writeFileSync(
      join(at, 'build.ninja'),
      [
        'rule cc',
        "  command = printf 'out: in.h\\n' > out.d; cat $in in.h > $out",
        '  depfile = out.d',
        '  deps = gcc',
        'build out: cc in.c',
        '',
      ].join('\n'),
    );
    for (const name of ['in.c', 'in.h', 'build.ninja']) {
      if (name !== 'build.ninja') fs.writeFileSync(join(at, name), name);
      fs.utimesSync(join(at, name), 1_600_000_000, 1_600_000_000);
    }
    const from = BigInt(Date.now() - 1000) * 1_000_000n;
    ninja();
    expect(ninja()).toContain('no work to do');
    const till = BigInt(Date.now() + 1000) * 1_000_000n;
    const moved = { from, till, offset: hour, floor: 0n, cap: till };
    for (const [name, map] of [
      ['.ninja_log', mapNinjaLog],
      ['.ninja_deps', mapNinjaDeps],
    ] as const)
      fs.writeFileSync(join(at, name), map(fs.readFileSync(join(at, name)), moved));
    const mtime = stamp(fs.statSync(join(at, 'out'), { bigint: true }).mtimeNs, moved);
    const text = `@${mtime / 1_000_000_000n}.${(mtime % 1_000_000_000n).toString().padStart(9, '0')}`;
    execFileSync('touch', ['-d', text, join(at, 'out')]);
    expect(ninja()).toContain('no work to do');
    // And the map was needed: with unmapped deps ninja would build again.
    expect(
      execFileSync('ninja', ['-C', at, '-d', 'explain', '-n'], { encoding: 'utf8' }),
    ).toContain('no work');
  },
);

test('ninja’s own files go by their whole name, and are not huge', () => {
  expect(ninjaMap('.ninja_log', 10)).toBe(mapNinjaLog);
  expect(ninjaMap('out/a b/.ninja_deps', 10)).toBe(mapNinjaDeps);
  for (const path of ['x.ninja_log', 'out/x.ninja_deps', '.ninja_log/x', '.ninja_log.old', ''])
    expect(ninjaMap(path, 10), path).toBeUndefined();
  expect(ninjaMap('.ninja_log', 300e6)).toBeUndefined();
});
