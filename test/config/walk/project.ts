/** A probe for each key of a project's .rch/config.toml. */
import { seeMake, seeMakeAll, seePriority, seeScore, type Bench, type Probe } from './bench.ts';

/** What the name of its project is said to be. */
async function seeName(bench: Bench): Promise<unknown> {
  await seeMake(bench);
  const [row] = await bench.house.call('history', { n: 1 });
  return row?.name;
}

/** Whether what was learned of make in four folders counts in a fifth. */
async function seeShared(bench: Bench): Promise<unknown> {
  for (let run = 0; run < 4; run++) await seeMake(bench);
  const plain = (await bench.make({ RCH_FORCE_REMOTE: '0' })) as { reason: string };
  return plain.reason.includes('until we know better');
}

const own: Probe = { to: './own.sh', user: { 'hooks.on_fallback': '' } };

export const projectProbes: Readonly<Record<string, Probe>> = {
  'project.id': { to: 'one of many', see: seeShared },
  'project.name': { to: 'My project', see: seeName },
  'project.enabled': { to: false },
  'project.local_only': { to: true },
  'workers.allowed': { to: ['other'] },
  'workers.preferred': { to: 'css', see: seeScore },
  'workers.blocked': { to: ['css'] },
  'workers.min_speed_score': { to: 60 },
  'classify.confidence_threshold': { to: 1 },
  'classify.exclude': { to: ['make'] },
  'transfer.exclude_extra': { to: ['testdata/'] },
  'transfer.force_include': {
    to: ['docs/kept'],
    user: { 'transfer.exclude.patterns': ['docs', 'other'] },
  },
  'transfer.max_size_mb': { to: 5 },
  'execution.timeout_sec': { to: 7200 },
  'execution.cores': { to: 1, see: seeMakeAll },
  'queue.priority': { to: 'low', see: seePriority },
  'execution.env': { to: { SPEED: 'high' } },
  'sandbox.network': { to: false },
  'hooks.pre_transfer': own,
  'hooks.post_compile': own,
  'hooks.on_fallback': {
    to: 'exit 3',
    see: async (bench) => {
      await bench.make({ RCH_WORKER: 'nobody' });
      return bench.hookTold();
    },
  },
};
