import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  decoder,
  encode,
  FRAME_HEADER,
  type FieldType,
  type MessageOf,
  type MessageTable,
} from '../../src/protocol/codec.ts';
import { FrameReader, MAX_FRAME } from '../../src/protocol/frames.ts';
import { agentMessages, type AgentMessage } from '../../src/protocol/agent.ts';
import { compile, placeHeader } from '../shims/build.ts';
import { anyMessage, cTables, samples, tables, type AnyMessage } from './messages.ts';

const encodeAny = (table: MessageTable, message: AnyMessage): Buffer =>
  encode(table, message as MessageOf<MessageTable>);

/** A body as somebody may send it who is no friend: cut, extended, with bytes changed, or made up. */
function mangled(table: MessageTable): fc.Arbitrary<Buffer> {
  const frame = anyMessage(table).map((message) => encodeAny(table, message));
  const cut = fc.tuple(frame, fc.nat(1000)).map(([whole, at]) => {
    const length = 5 + (at % (whole.length - 4));
    const part = Buffer.from(whole.subarray(0, length));
    part.writeUInt32LE(length - 4, 0);
    return part;
  });
  const changed = fc
    .tuple(frame, fc.array(fc.tuple(fc.nat(1000), fc.nat(255)), { minLength: 1, maxLength: 4 }))
    .map(([whole, changes]) => {
      const other = Buffer.from(whole);
      for (const [at, value] of changes) other[4 + (at % (whole.length - 4))] = value;
      return other;
    });
  const made = fc.uint8Array({ minLength: 1, maxLength: 60 }).map((data) => {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(data.length);
    return Buffer.concat([head, data]);
  });
  return fc.oneof(cut, changed, made);
}

describe.each(Object.entries(tables))('the codec of %s', (name, table) => {
  const decode = decoder(table);

  it('gives back every message it encodes', () => {
    fc.assert(
      fc.property(anyMessage(table), (message) => {
        const frame = encodeAny(table, message);
        expect(frame.readUInt32LE(0)).toBe(frame.length - 4);
        expect(decode(frame.readUInt8(4), frame.subarray(FRAME_HEADER))).toEqual({
          ok: true,
          value: message,
        });
      }),
    );
  });

  it('skips fields that a newer peer appended', () => {
    fc.assert(
      fc.property(anyMessage(table), fc.uint8Array({ maxLength: 20 }), (message, more) => {
        const frame = encodeAny(table, message);
        const body = Buffer.concat([frame.subarray(FRAME_HEADER), more]);
        expect(decode(frame.readUInt8(4), body)).toEqual({ ok: true, value: message });
      }),
    );
  });

  it('answers a cut, changed or made-up body with a reason, and never throws', () => {
    fc.assert(
      fc.property(mangled(table), (frame) => {
        const result = decode(frame.readUInt8(4), frame.subarray(FRAME_HEADER));
        if (!result.ok) expect(result.failure.reason).not.toBe('');
      }),
      { numRuns: 500 },
    );
  });

  it('fails on every proper prefix of a message', () => {
    fc.assert(
      fc.property(anyMessage(table), (message) => {
        const frame = encodeAny(table, message);
        for (let n = FRAME_HEADER; n < frame.length; n++)
          expect(decode(frame.readUInt8(4), frame.subarray(FRAME_HEADER, n)).ok).toBe(false);
      }),
      { numRuns: 50 },
    );
  });

  it('cuts a stream into the same messages, however it is chunked', () => {
    const some = fc.array(anyMessage(table), { maxLength: 8 });
    const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(some, cuts, (messages, sizes) => {
        const stream = Buffer.concat(messages.map((message) => encodeAny(table, message)));
        const reader = new FrameReader(table);
        const got: unknown[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          const result = reader.push(Buffer.from(stream.subarray(at, at + size)));
          expect(result.ok).toBe(true);
          if (result.ok) got.push(...result.value);
          at += size;
        }
        expect(got).toEqual(messages);
        expect(reader.pending).toBe(0);
      }),
    );
  });

  it('reads garbage from a stream without throwing', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 10 }), (chunks) => {
        const reader = new FrameReader(table);
        for (const chunk of chunks) if (!reader.push(Buffer.from(chunk)).ok) return;
      }),
      { numRuns: 500 },
    );
  });

  it('keeps the recorded frames', async () => {
    const lines = samples(table).map(
      (message) => `${message.type} ${encodeAny(table, message).toString('hex')}\n`,
    );
    await expect(lines.join('')).toMatchFileSnapshot(`../fixtures/frames/${name}.txt`);
  });
});

describe('a frame', () => {
  it('of no length, or of more than the limit, ends the stream', () => {
    for (const length of [0, MAX_FRAME + 1, 0xffffffff]) {
      const head = Buffer.alloc(5);
      head.writeUInt32LE(length);
      expect(new FrameReader(cTables['shim'] ?? {}).push(head).ok).toBe(false);
    }
  });

  it('whose bytes are passing holds them until the next but one, however the stream is cut', () => {
    const blob = (fill: number, length: number): AgentMessage => ({
      ...{
        type: 'blob',
        hash: Buffer.alloc(32),
        size: 1n,
        offset: 0n,
        codec: 0,
        base: Buffer.alloc(0),
      },
      data: Buffer.alloc(length, fill),
    });
    const sizes = fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 2, maxLength: 12 });
    const cuts = fc.array(fc.integer({ min: 1000, max: 500_000 }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(sizes, cuts, (lengths, pieces) => {
        const sent = lengths.map((length, at) => encode(agentMessages, blob(at + 1, length)));
        const stream = Buffer.concat(sent);
        const reader = new FrameReader(agentMessages, { passing: agentMessages.blob.number });
        let seen = 0;
        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const size = pieces[turn % pieces.length] ?? 1;
          const result = reader.push(Buffer.from(stream.subarray(at, at + size)));
          if (!result.ok) throw new Error(result.failure.reason);
          // All that one chunk completed is there at once, though the next has begun to come.
          for (const message of result.value) {
            if (message.type !== 'blob') throw new Error(message.type);
            expect(message.data.equals(Buffer.alloc(lengths[seen] ?? 0, seen + 1))).toBe(true);
            seen += 1;
          }
          at += size;
        }
        expect(seen).toBe(lengths.length);
      }),
      { numRuns: 60 },
    );
  });

  it('with a number that nobody knows is a failure', () => {
    expect(decoder(cTables['shim'] ?? {})(250, Buffer.alloc(0)).ok).toBe(false);
  });
});

const snake = (text: string): string => text.replaceAll(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

/** The C function that reads any message of a table and writes it again. */
function echoCases(name: string, table: MessageTable): string {
  const isList = (type: FieldType): boolean => /List$/.test(type);
  const cases = Object.entries(table).map(([type, entry]) => {
    const id = `${name}_${snake(type)}`;
    const lists = Object.entries(entry.fields).filter(([, field]) => isList(field));
    const fill = lists.map(
      ([field, of]) => `fill_${of === 'u32List' ? 'numbers' : 'items'}(&m.${snake(field)});`,
    );
    const free = lists.map(([field]) => `drop_list(&m.${snake(field)});`);
    return `case ${entry.number}: { struct rch_${id} m; if (!rch_get_${id}(body, n, &m)) return false; ${fill.join(' ')} bool ok = rch_put_${id}(out, &m); ${free.join(' ')} return ok; }`;
  });
  return `static bool echo_${name}(uint8_t number, const uint8_t *body, size_t n, struct rch_buffer *out) {
  switch (number) {\n  ${cases.join('\n  ')}\n  default: return false;\n  }\n}\n`;
}

describe.each(Object.entries(cTables))('the generated C for %s', (name, table) => {
  let echo: (frames: readonly Buffer[]) => Buffer[];

  beforeAll(() => {
    const family = Object.keys(cTables).map(
      (each) => `if (family == '${each[0] ?? ''}') return echo_${each}(number, body, n, out);`,
    );
    placeHeader(
      'echo-cases.h',
      `${Object.entries(cTables)
        .map(([each, messages]) => echoCases(each, messages))
        .join(
          '',
        )}static bool echo_frame(char family, uint8_t number, const uint8_t *body, size_t n, struct rch_buffer *out) {\n  ${family.join('\n  ')}\n  return false;\n}\n`,
    );
    const program = compile('test/shims/echo-frames.c', 'sanitized');
    echo = (frames) => {
      const output = execFileSync(program, [name], {
        input: Buffer.concat(frames),
        maxBuffer: 1 << 28,
      });
      const got: Buffer[] = [];
      for (let at = 0; at < output.length;) {
        const end = at + 4 + output.readUInt32LE(at);
        got.push(output.subarray(at, end));
        at = end;
      }
      return got;
    };
  });

  it('reads and writes the recorded frames to the byte', () => {
    const frames = samples(table).map((message) => encodeAny(table, message));
    expect(echo(frames)).toEqual(frames);
  });

  it('reads and writes any message to the byte', () => {
    const frames = fc.sample(anyMessage(table), 3000).map((message) => encodeAny(table, message));
    expect(echo(frames)).toEqual(frames);
  });

  it('takes and refuses mangled messages exactly as the TypeScript does', () => {
    const frames = fc.sample(mangled(table), 3000);
    const decode = decoder(table);
    const refused = Buffer.from([1, 0, 0, 0, 0]);
    const answers = echo(frames);
    expect(answers.length).toBe(frames.length);
    for (const [index, frame] of frames.entries()) {
      const ok = decode(frame.readUInt8(4), frame.subarray(FRAME_HEADER)).ok;
      expect({
        frame: frame.toString('hex'),
        ok: answers[index]?.equals(refused) === false,
      }).toEqual({
        frame: frame.toString('hex'),
        ok,
      });
    }
  });
});
