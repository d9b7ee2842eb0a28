import { expect, test } from 'vitest';
import { Tails } from '../../../daemon/link/tails.ts';
import type { LinkToFront } from '../../../src/protocol/ipc.ts';

function heard(): { readonly tails: Tails; readonly words: string[] } {
  const words: string[] = [];
  const tails = new Tails((message: LinkToFront) => {
    if (message.type !== 'output') throw new Error(message.type);
    const text = Buffer.from(message.data, 'base64').toString();
    words.push(`${message.job}${message.skipped ? '…' : ''} ${text}`);
  });
  return { tails, words };
}

const piece = (offset: number, text: string, stream = 1) => ({
  ...{ stream, offset: BigInt(offset), data: Buffer.from(text) },
});

test('nobody is told anything while nobody watches, and who begins to watch sees what stands there', () => {
  const { tails, words } = heard();
  tails.wrote('a', piece(0, 'before'));
  tails.wrote('gone', piece(0, 'ended'));
  tails.end('gone');
  expect(words).toEqual([]);
  tails.watch(true);
  expect(words).toEqual(['a before']);
  tails.wrote('a', piece(6, ' and after'));
  tails.end('a');
  expect(words).toEqual(['a before', 'a  and after']);
  tails.watch(false);
});

test('what an agent tells again after a reconnect is told once', () => {
  const { tails, words } = heard();
  tails.wrote('a', piece(0, 'one '));
  tails.wrote('a', piece(0, 'one '));
  tails.wrote('a', piece(2, 'e two'));
  tails.wrote('a', piece(0, 'err', 2));
  tails.watch(true);
  tails.watch(false);
  expect(words).toEqual(['a one twoerr']);
});

test('of much the end is told, and that the rest is left out', () => {
  const { tails, words } = heard();
  tails.wrote('a', piece(0, 'x'.repeat(100_000)));
  tails.wrote('a', piece(100_000, 'end'));
  tails.watch(true);
  tails.watch(false);
  expect(words).toHaveLength(1);
  expect(words[0]).toMatch(/^a… x+end$/);
  expect(words[0]?.length).toBeLessThan(20_000);
});
