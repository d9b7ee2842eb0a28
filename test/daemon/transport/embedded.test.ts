import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connect } from '../../../daemon/transport/connect.ts';
import { workerConfig } from '../../../src/config/worker-schema.ts';
import { echoed, failureOf, Installation, valueOf } from './standin.ts';

let here: Installation;
beforeEach(() => {
  here = new Installation();
});
afterEach(async () => {
  await here.remove();
});

const worker = workerConfig.parse({ id: 'here', transport: 'embedded' });

test('an embedded agent answers on streams of its own and ends with its connection', async () => {
  const connection = valueOf(await connect(worker, { layout: here.layout }));
  const [one, two] = [
    valueOf(await connection.openStream()),
    valueOf(await connection.openStream()),
  ];
  expect(await echoed(one, 'one')).toBe('one');
  expect(await echoed(two, 'two')).toBe('two');
  const closed = once(one, 'close');
  connection.close();
  await closed;
  expect(await connection.closed).toContain('ended');
  expect((await connection.openStream()).ok).toBe(false);
});

test('an installation without its agent is told', async () => {
  rmSync(join(here.layout.lib, 'rch-wkr.mjs'));
  expect(failureOf(await connect(worker, { layout: here.layout }))).toContain('rch-wkr.mjs');
});
