import { afterEach, beforeEach, expect, test } from 'vitest';
import { DaemonClient } from '../../../src/client/daemon-client.ts';
import {
  afterEvent,
  nothingWatched,
  watchEvent,
  type Watched,
} from '../../../src/protocol/watch.ts';
import { House, within, type LinkScript } from './rig.ts';

let house: House;
let link: LinkScript;
const clients: DaemonClient[] = [];
beforeEach(async () => {
  house = new House();
  house.workers('css');
  await house.listenForLinks();
  await house.start();
  link = await house.link();
  await link.connected();
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await house.dispose();
});

/** What a watcher knows, and waits to know. */
class Watcher {
  readonly client: DaemonClient;
  watched: Watched = nothingWatched;
  output = '';
  #wake: () => void = () => undefined;

  private constructor(client: DaemonClient) {
    this.client = client;
    clients.push(client);
    const onEvent = (json: unknown): void => {
      const event = watchEvent.parse(json);
      if (event.type === 'output')
        this.output += `${event.skipped ? '…' : ''}${Buffer.from(event.data, 'base64').toString()}`;
      this.watched = afterEvent(this.watched, event, event.type === 'state' ? event.at : 0);
      this.#wake();
    };
    void client.call('watch', { recent: 10 }, { onEvent });
  }

  static async open(): Promise<Watcher> {
    const client = await DaemonClient.connect(house.layout);
    if (!client.ok) throw new Error(client.failure.reason);
    return new Watcher(client.value);
  }

  async sees(what: string, wished: (watcher: this) => boolean): Promise<void> {
    const look = async (): Promise<void> => {
      while (!wished(this))
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    };
    await within(what, look());
  }
}

const text = (words: string): string => Buffer.from(words).toString('base64');

test('a watcher is told of everything, then of what changes, from the start of a build to its end', async () => {
  const watcher = await Watcher.open();
  expect(await link.expect('watch')).toMatchObject({ on: true });
  await watcher.sees('the worker', ({ watched }) => watched.workers[0]?.state === 'connected');
  expect(watcher.watched).toMatchObject({ jobs: [], queue: [], records: [] });

  const launcher = await house.make(house.project());
  const { job } = await link.expect('plan');
  await launcher.expect('ack');
  await launcher.expect('remote');
  link.say({ type: 'phase', job: job.job, phase: 'sending /p' });
  link.say({ type: 'phase', job: job.job, phase: 'running' });
  await watcher.sees('it run', ({ watched }) => watched.jobs[0]?.phase === 'running');
  const [running] = watcher.watched.jobs;
  expect(running).toMatchObject({ id: job.job, worker: 'css', command: 'make' });
  expect(running?.steps.map(({ phase }) => phase)).toEqual(['planned', 'sending /p', 'running']);

  link.say({ type: 'output', job: job.job, data: text('\u001b[32mok\u001b[0m\n'), skipped: false });
  await watcher.sees('its output', ({ output }) => output === '\u001b[32mok\u001b[0m\n');

  const second = await Watcher.open();
  await second.sees('what was written before', ({ output }) => output.includes('ok'));
  expect(second.watched.jobs[0]?.id).toBe(job.job);

  link.say({ type: 'output', job: job.job, data: text('end'), skipped: true });
  link.done(job, { outcome: { kind: 'exited', code: 3 } });
  await watcher.sees('the end', ({ watched }) => watched.records.length === 1);
  expect(watcher.watched.records[0]).toMatchObject({ id: job.job, exit: 3 });
  await watcher.sees('no job', ({ watched }) => watched.jobs.length === 0);
  // Output is told after all else.
  await watcher.sees('its last output', ({ output }) => output.endsWith('…end'));
  await link.expect('heard');

  clients.splice(0).forEach((client) => {
    client.close();
  });
  expect(await link.expect('watch')).toMatchObject({ on: false });
});

test('a link that is born while somebody watches tells of output too', async () => {
  const watcher = await Watcher.open();
  await link.expect('watch');
  link.exit(1);
  link = await house.link();
  expect(await link.expect('watch')).toMatchObject({ on: true });
  await link.connected();
  await watcher.sees('it back', ({ watched }) => watched.workers[0]?.state === 'connected');
});
