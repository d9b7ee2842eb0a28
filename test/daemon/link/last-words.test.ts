import { expect, it } from 'vitest';
import { LastWords } from '../../../daemon/link/last-words.ts';
import { fail, ok } from '../../../src/base/result.ts';
import type { AgentMessage } from '../../../src/protocol/agent.ts';

type Answered = Parameters<typeof LastWords.prototype.say>[0];
type Agent = ReturnType<ConstructorParameters<typeof LastWords>[0]>;

const finish = (name: string): Answered => ({ type: 'finish', job: Buffer.from(name) });

/** An agent whose connection can end before what was sent on it arrives. */
class Way {
  up = true;
  /** The end of the connection takes what is under way with it. */
  loses = false;
  readonly heard: string[] = [];

  readonly agent: Agent = {
    send: (message: AgentMessage) => {
      if (this.up && !this.loses && 'job' in message) this.heard.push(message.job.toString());
      return this.up;
    },
    request: () =>
      Promise.resolve(
        this.up && !this.loses
          ? ok({ type: 'pong', request: 1, now: 0n })
          : fail('the connection was lost'),
      ),
  };
}

/** What follows on an answer that is there. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

it('are said again on the next connection, where the one before took them along', async () => {
  const way = new Way();
  const words = new LastWords(() => way.agent);
  way.loses = true;
  words.say(finish('lost'));
  await settled();
  way.loses = false;
  words.again();
  await settled();
  expect(way.heard).toEqual(['lost']);
});

it('wait for a connection where there is none', async () => {
  const way = new Way();
  const words = new LastWords(() => way.agent);
  way.up = false;
  words.say(finish('early'));
  await settled();
  way.up = true;
  words.again();
  expect(way.heard).toEqual(['early']);
});

it('are not said again once they were heard', async () => {
  const way = new Way();
  const words = new LastWords(() => way.agent);
  words.say(finish('once'));
  await settled();
  words.again();
  await settled();
  expect(way.heard).toEqual(['once']);
});
