/**
 * The codec of every message that crosses a process edge here: a table of messages, each a list of
 * typed fields, gives the TypeScript types, the encoder, the checking decoder and (by
 * scripts/protocol-header) the C header.
 *
 * A frame is: u32 length of what follows, u8 message number, then the fields in the order of the table.
 * All integers are little-endian. `bytes` and `str` are u32 length + bytes; a list is u32 count + items.
 */
import { fail, ok, type Result } from '../base/result.ts';

export type FieldType =
  | 'u8'
  | 'u16'
  | 'u32'
  | 'u64'
  | 'i64'
  | 'bool'
  | 'bytes'
  | 'str'
  | 'bytesList'
  | 'strList'
  | 'u32List';

type ValueOf = {
  u8: number;
  u16: number;
  u32: number;
  u64: bigint;
  i64: bigint;
  bool: boolean;
  bytes: Buffer;
  str: string;
  bytesList: readonly Buffer[];
  strList: readonly string[];
  u32List: readonly number[];
};

export type Fields = Readonly<Record<string, FieldType>>;
export type MessageTable = Readonly<
  Record<string, { readonly number: number; readonly fields: Fields }>
>;

/** The union of all messages of a table: `{ type: name, ...fields }`. */
export type MessageOf<T extends MessageTable> = {
  [Name in keyof T & string]: { readonly type: Name } & {
    readonly [Field in keyof T[Name]['fields']]: ValueOf[T[Name]['fields'][Field]];
  };
}[keyof T & string];

/** Bytes of a frame before its body: u32 length, u8 message number. */
export const FRAME_HEADER = 5;

type Writer = { buffer: Buffer; at: number };

function room(writer: Writer, bytes: number): void {
  if (writer.at + bytes <= writer.buffer.length) return;
  const grown = Buffer.allocUnsafe(Math.max(writer.buffer.length * 2, writer.at + bytes));
  writer.buffer.copy(grown, 0, 0, writer.at);
  writer.buffer = grown;
}

function putU32(writer: Writer, value: number): void {
  room(writer, 4);
  writer.at = writer.buffer.writeUInt32LE(value, writer.at);
}

function putBytes(writer: Writer, value: Uint8Array): void {
  putU32(writer, value.length);
  room(writer, value.length);
  writer.buffer.set(value, writer.at);
  writer.at += value.length;
}

function putField(writer: Writer, type: FieldType, value: ValueOf[FieldType]): void {
  switch (type) {
    case 'u8':
    case 'bool':
      room(writer, 1);
      writer.at = writer.buffer.writeUInt8(Number(value), writer.at);
      return;
    case 'u16':
      room(writer, 2);
      writer.at = writer.buffer.writeUInt16LE(value as number, writer.at);
      return;
    case 'u32':
      putU32(writer, value as number);
      return;
    case 'u64':
      room(writer, 8);
      writer.at = writer.buffer.writeBigUInt64LE(value as bigint, writer.at);
      return;
    case 'i64':
      room(writer, 8);
      writer.at = writer.buffer.writeBigInt64LE(value as bigint, writer.at);
      return;
    case 'bytes':
      putBytes(writer, value as Buffer);
      return;
    case 'str':
      putBytes(writer, Buffer.from(value as string, 'utf8'));
      return;
    case 'bytesList':
      putU32(writer, (value as readonly Buffer[]).length);
      for (const item of value as readonly Buffer[]) putBytes(writer, item);
      return;
    case 'strList':
      putU32(writer, (value as readonly string[]).length);
      for (const item of value as readonly string[]) putBytes(writer, Buffer.from(item, 'utf8'));
      return;
    case 'u32List':
      putU32(writer, (value as readonly number[]).length);
      for (const item of value as readonly number[]) putU32(writer, item);
      return;
  }
}

/** Encodes one message as a whole frame. */
export function encode<T extends MessageTable>(table: T, message: MessageOf<T>): Buffer {
  const entries: MessageTable = table;
  const entry = entries[message.type];
  if (entry === undefined) throw new Error(`no message ${message.type}`);
  const writer: Writer = { buffer: Buffer.allocUnsafe(256), at: FRAME_HEADER };
  const values = message as unknown as Record<string, ValueOf[FieldType]>;
  for (const [name, type] of Object.entries(entry.fields)) {
    const value = values[name];
    if (value === undefined) throw new Error(`message ${message.type} lacks ${name}`);
    putField(writer, type, value);
  }
  writer.buffer.writeUInt32LE(writer.at - 4, 0);
  writer.buffer.writeUInt8(entry.number, 4);
  return writer.buffer.subarray(0, writer.at);
}

class ShortMessage extends Error {}

type Reader = { readonly buffer: Buffer; at: number };

function take(reader: Reader, bytes: number): number {
  const at = reader.at;
  if (bytes > reader.buffer.length - at) throw new ShortMessage();
  reader.at += bytes;
  return at;
}

function takeU32(reader: Reader): number {
  return reader.buffer.readUInt32LE(take(reader, 4));
}

function takeBytes(reader: Reader): Buffer {
  const length = takeU32(reader);
  const at = take(reader, length);
  return reader.buffer.subarray(at, at + length);
}

/** Reads a list; each item has at least `least` bytes, which bounds the count a peer may claim. */
function takeList<V>(reader: Reader, least: number, item: () => V): V[] {
  const count = takeU32(reader);
  if (count * least > reader.buffer.length - reader.at) throw new ShortMessage();
  return Array.from({ length: count }, item);
}

function takeField(reader: Reader, type: FieldType): ValueOf[FieldType] {
  switch (type) {
    case 'u8':
      return reader.buffer.readUInt8(take(reader, 1));
    case 'bool':
      return reader.buffer.readUInt8(take(reader, 1)) !== 0;
    case 'u16':
      return reader.buffer.readUInt16LE(take(reader, 2));
    case 'u32':
      return takeU32(reader);
    case 'u64':
      return reader.buffer.readBigUInt64LE(take(reader, 8));
    case 'i64':
      return reader.buffer.readBigInt64LE(take(reader, 8));
    case 'bytes':
      return takeBytes(reader);
    case 'str':
      return takeBytes(reader).toString('utf8');
    case 'bytesList':
      return takeList(reader, 4, () => takeBytes(reader));
    case 'strList':
      return takeList(reader, 4, () => takeBytes(reader).toString('utf8'));
    case 'u32List':
      return takeList(reader, 4, () => takeU32(reader));
  }
}

/**
 * A decoder of one table's frame bodies: checks the number, every length and that nothing is left over.
 * The `bytes` of a decoded message are views into `body`; copy what must outlive it.
 */
export function decoder<T extends MessageTable>(
  table: T,
): (number: number, body: Buffer) => Result<MessageOf<T>> {
  const byNumber = new Map(
    Object.entries(table).map(([type, entry]) => [
      entry.number,
      { type, fields: Object.entries(entry.fields) },
    ]),
  );
  return (number, body) => {
    const entry = byNumber.get(number);
    if (entry === undefined) return fail(`unknown message number ${number}`);
    const reader: Reader = { buffer: body, at: 0 };
    const message: Record<string, unknown> = { type: entry.type };
    try {
      for (const [name, type] of entry.fields) message[name] = takeField(reader, type);
    } catch (thrown) {
      if (thrown instanceof ShortMessage) return fail(`message ${entry.type} is cut short`);
      throw thrown;
    }
    // Fields that a newer peer appended are skipped: the protocol stays compatible one version back.
    return ok(message as unknown as MessageOf<T>);
  };
}
