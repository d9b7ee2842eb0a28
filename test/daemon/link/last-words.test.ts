import { setImmediate as soon } from 'node:timers/promises';
import { beforeEach, expect, it } from 'vitest';
import type { AgentClient } from '../../../daemon/link/agent-client.ts';
import { LastWords } from '../../../daemon/link/last-words.ts';
import { fail, ok } from '../../../src/base/result.ts';
import type { AgentMessage } from '../../../src/protocol/agent.ts';

/** A connection that can be gone, and one that takes what is said to it without anybody hearing. */
class Line implements Pick<AgentClient, 'send' | 'request'> {
  at: 'gone' | 'dead' | 'alive' = 'alive';
  heard: string[] = [];

  send(message: AgentMessage): boolean {
    if (this.at === 'alive' && 'job' in message)
      this.heard.push(`${message.type} ${message.job.toString('hex')}`);
    return this.at !== 'gone';
  }

  request: AgentClient['request'] = () =>
    Promise.resolve(
      this.at === 'alive' ? ok({ type: 'pong', request: 1, now: 0n }) : fail('it was lost'),
    );
}

let line: Line;
let words: LastWords;
beforeEach(() => {
  line = new Line();
  words = new LastWords(line);
});

const job = (id: number): Buffer => Buffer.from([id]);

it('says a word once to an agent that is there', async () => {
  words.say({ type: 'finish', job: job(1) });
  await soon();
  words.repeat();
  expect(line.heard).toEqual(['finish 01']);
});

it.each(['gone', 'dead'] as const)('says it again when the connection was %s', async (at) => {
  line.at = at;
  words.say({ type: 'kill', job: job(1) });
  words.say({ type: 'finish', job: job(2) });
  await soon();
  expect(line.heard).toEqual([]);
  line.at = 'alive';
  words.repeat();
  await soon();
  words.repeat();
  expect(line.heard).toEqual(['kill 01', 'finish 02']);
});

it('keeps a bounded number of words', async () => {
  line.at = 'gone';
  for (let id = 0; id < 10_001; id++) {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16BE(id);
    words.say({ type: 'kill', job: bytes });
  }
  await soon();
  line.at = 'alive';
  words.repeat();
  expect(line.heard).toHaveLength(10_000);
  expect(line.heard[0]).toBe('kill 0001');
});
