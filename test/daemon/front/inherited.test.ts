import { expect, test } from 'vitest';
import { writesLimitedFile } from '../../../daemon/front/inherited.ts';
import { StreamKind } from '../../../src/protocol/shim.ts';
import { question } from './rig.ts';

const ask = question({ argv: ['make'], pid: process.pid, env: {}, cwd: '/' });

/** Soft and hard limits as a launcher sends them, of which the second is on the size of files. */
function limits(size: bigint): Buffer {
  const bytes = Buffer.alloc(3 * 16, 0xff);
  bytes.writeBigUInt64LE(size, 16);
  return bytes;
}

test('a limit on the size of files concerns output that goes to one', () => {
  const to = (outKind: StreamKind, errKind: StreamKind, size: bigint): boolean =>
    writesLimitedFile({ ...ask, outKind, errKind, rlimits: limits(size) });
  const { file, pipe } = StreamKind;
  expect(to(file, pipe, 512n)).toBe(true);
  expect(to(pipe, file, 512n)).toBe(true);
  expect(to(pipe, pipe, 512n)).toBe(false);
  expect(to(file, file, 2n ** 64n - 1n)).toBe(false);
  expect(writesLimitedFile({ ...ask, outKind: file, rlimits: Buffer.alloc(0) })).toBe(false);
});
