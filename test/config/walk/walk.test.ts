/**
 * Walks the schemas: each key changes what rch does. A key without a probe fails, and so does one that nothing reads.
 */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { settingsIn } from '../../../src/config/known.ts';
import { projectFile, trustedKeys } from '../../../src/config/project-schema.ts';
import { settingsFile } from '../../../src/config/schema.ts';
import { setValue } from '../../../src/config/toml-edit.ts';
import { workerConfig, workersFileShape } from '../../../src/config/worker-schema.ts';
import { Bench, configOf, seeMake, type Probe, type Values } from './bench.ts';
import { projectProbes } from './project.ts';
import { settingsProbes } from './settings.ts';
import { workerProbes, type WorkerProbe } from './workers.ts';

function probeOf<P>(probes: Readonly<Record<string, P>>, name: string): P {
  const probe = probes[name];
  if (probe === undefined)
    throw new Error(`nothing shows that ${name} does something: add a probe`);
  return probe;
}

let bench: Bench;
beforeAll(async () => {
  bench = await Bench.create();
});
afterAll(async () => {
  await bench.dispose();
});

const names = (schema: Parameters<typeof settingsIn>[0]): string[] =>
  settingsIn(schema).map(({ name }) => name);

/** What is seen twice under `before`, which must not differ, and then under `after`, which must. */
async function differs(
  probe: Probe,
  under: (values: Values) => Promise<unknown>,
  key: string,
): Promise<void> {
  const before = probe.beside ?? {};
  const first = await under(before);
  expect(isDeepStrictEqual(first, await under(before)), 'the probe shows the same twice').toBe(
    true,
  );
  expect(await under({ ...before, [key]: probe.to })).not.toEqual(first);
}

describe('config.toml', () => {
  it.each(names(settingsFile))('%s changes what rch does', async (key) => {
    const probe = probeOf(settingsProbes, key);
    await differs(
      probe,
      async (values) => {
        if ('pure' in probe) {
          const { config, workersFile } = configOf({ user: values });
          return probe.pure(config, workersFile);
        }
        await bench.configure(values);
        return (probe.see ?? seeMake)(bench);
      },
      key,
    );
  });
});

describe("a project's file", () => {
  const under = async (probe: Probe, values: Values, trusted: boolean): Promise<unknown> => {
    await bench.configure(probe.user ?? {});
    bench.project(values, trusted);
    if ('pure' in probe) throw new Error('a project needs a daemon');
    return (probe.see ?? seeMake)(bench);
  };

  it.each(names(projectFile))('%s changes what rch does', async (key) => {
    const probe = probeOf(projectProbes, key);
    await differs(probe, (values) => under(probe, values, true), key);
  });

  it.each(trustedKeys)('%s does nothing before the file is trusted', async (key) => {
    const probe = probeOf(projectProbes, key);
    // A hook that never runs is never told of: there is nothing to wait for.
    if (key === 'hooks.on_fallback') return;
    const first = await under(probe, {}, true);
    expect(await under(probe, { [key]: probe.to }, false)).toEqual(first);
  });
});

describe('workers.toml', () => {
  const base = '[[workers]]\nid = "css"\nhost = "h"\n';
  const seen = (probe: WorkerProbe, text: string): unknown => {
    const { config } = configOf({ workers: text });
    const [worker] = config.workers;
    if (worker === undefined) throw new Error('no worker');
    return probe.see(worker, config);
  };

  it.each(names(workerConfig))('%s of a worker changes what rch does', (key) => {
    const probe = probeOf(workerProbes, key);
    const line = setValue('', ['x', key], probe.to);
    if (!line.ok) throw new Error(line.failure.reason);
    const changed = `${base.replace(new RegExp(`^${key} = .*\n`, 'm'), '')}${line.value.replace('[x]\n', '')}`;
    expect(seen(probe, changed)).not.toEqual(seen(probe, base));
  });

  const defaults = names(workersFileShape).filter((name) => name.startsWith('defaults.'));
  it.each(defaults)('%s holds for every worker', (name) => {
    const probe = probeOf(workerProbes, name.slice('defaults.'.length));
    const set = setValue('', name.split('.'), probe.to);
    if (!set.ok) throw new Error(set.failure.reason);
    expect(seen(probe, `${set.value}\n${base}`)).not.toEqual(seen(probe, base));
  });
});

it('has no probe for a key that is no more', () => {
  const all = new Set([...names(settingsFile), ...names(projectFile), ...names(workerConfig)]);
  const probes = [settingsProbes, projectProbes, workerProbes].flatMap((each) => Object.keys(each));
  expect(probes.filter((name) => !all.has(name))).toEqual([]);
});
