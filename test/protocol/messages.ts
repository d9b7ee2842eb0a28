/** Messages of every table: arbitrary ones for properties, and one fixed sample of each for recorded frames. */
import fc from 'fast-check';
import { agentMessages } from '../../src/protocol/agent.ts';
import type { FieldType, MessageTable } from '../../src/protocol/codec.ts';
import { controlMessages } from '../../src/protocol/control.ts';
import { fsMessages } from '../../src/protocol/fs.ts';
import { runMessages } from '../../src/protocol/run.ts';
import { shimMessages } from '../../src/protocol/shim.ts';

/** Those that C programs speak too. */
export const cTables: Readonly<Record<string, MessageTable>> = {
  shim: shimMessages,
  run: runMessages,
  fs: fsMessages,
};
export const tables: Readonly<Record<string, MessageTable>> = {
  ...cTables,
  agent: agentMessages,
  control: controlMessages,
};

/** A message as the codec takes it, its type known only at run time. */
export type AnyMessage = { readonly type: string } & Readonly<Record<string, unknown>>;

const bytes = fc.uint8Array({ maxLength: 40 }).map((data) => Buffer.from(data));

const values: Readonly<Record<FieldType, fc.Arbitrary<unknown>>> = {
  u8: fc.nat(0xff),
  u16: fc.nat(0xffff),
  u32: fc.nat(0xffffffff),
  u64: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  i64: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
  bool: fc.boolean(),
  bytes,
  str: fc.string({ unit: 'grapheme', maxLength: 20 }),
  bytesList: fc.array(bytes, { maxLength: 5 }),
  strList: fc.array(fc.string({ unit: 'grapheme', maxLength: 10 }), { maxLength: 5 }),
  u32List: fc.array(fc.nat(0xffffffff), { maxLength: 5 }),
};

/** Any message of a table. */
export function anyMessage(table: MessageTable): fc.Arbitrary<AnyMessage> {
  return fc.oneof(
    ...Object.entries(table).map(([type, entry]) =>
      fc.record({
        type: fc.constant(type),
        ...Object.fromEntries(
          Object.entries(entry.fields).map(([name, field]) => [name, values[field]]),
        ),
      }),
    ),
  );
}

/** One fixed message of each kind, with the corner values of its fields. */
export function samples(table: MessageTable): AnyMessage[] {
  const fixed: Readonly<Record<FieldType, unknown>> = {
    u8: 0xfe,
    u16: 0xfedc,
    u32: 0xfedcba98,
    u64: (1n << 64n) - 2n,
    i64: -2n,
    bool: true,
    bytes: Buffer.from('00ff0a', 'hex'),
    str: 'é\n',
    bytesList: [Buffer.alloc(0), Buffer.from('a\xff', 'latin1')],
    strList: ['', 'ü'],
    u32List: [0, 0xffffffff],
  };
  return Object.entries(table).map(([type, entry]) => ({
    type,
    ...Object.fromEntries(
      Object.entries(entry.fields).map(([name, field]) => [name, fixed[field]]),
    ),
  }));
}
