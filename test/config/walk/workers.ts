/** A probe for each key of a worker, and of [defaults], in workers.toml. Both times the worker is one by ssh to `h`. */
import { commandArgv } from '../../../daemon/transport/command.ts';
import { limitsOf, targetOf } from '../../../daemon/transport/connect.ts';
import { targetArguments } from '../../../daemon/transport/ssh-settings.ts';
import { helloOf, mannersOf } from '../../../daemon/lifecycle/hello.ts';
import { linkKey } from '../../../daemon/front/settings.ts';
import { slotsOf } from '../../../src/agent/owner.ts';
import { createColors } from 'picocolors';
import { fleetText } from '../../../src/cli/render/fleet.ts';
import { scoreOf } from '../../../daemon/select/score.ts';
import type { WorkerStatus } from '../../../src/protocol/methods.ts';
import type { Config } from '../../../src/config/schema.ts';
import type { TomlValue } from '../../../src/config/toml-value.ts';
import type { WorkerConfig } from '../../../src/config/worker-schema.ts';

const look = { colors: createColors(false), width: 200 };

const shown = (id: string, tags: readonly string[]): WorkerStatus => ({
  ...{ id, transport: 'ssh', host: 'h', state: 'starting', health: 'unreachable' },
  ...{ mandate: 'enabled', troubles: [], load: null, reason: '', next: '', slots: null, jobs: 0 },
  ...{ priority: 100, tags: [...tags], breaker: 'closed', clockOffsetMs: null, roundTripMs: null },
  ...{ speed: null, sinceMs: 0, facts: null },
});

export type WorkerProbe = {
  readonly to: TomlValue;
  readonly see: (worker: WorkerConfig, config: Config) => unknown;
};

const seeArguments = (worker: WorkerConfig): unknown =>
  targetArguments(targetOf(worker, worker.host ?? ''));
const seeHello = (worker: WorkerConfig, config: Config): unknown => helloOf('w', worker, config);
const seeSlots = (worker: WorkerConfig, config: Config): unknown =>
  slotsOf(helloOf('w', worker, config), 8);
const seeManners = (worker: WorkerConfig, config: Config): unknown => mannersOf(worker, config);
/** A link that is made anew. */
const seeLink = (worker: WorkerConfig, config: Config): unknown => linkKey(worker, config);
const seeScore = ({ priority }: WorkerConfig, config: Config): unknown => {
  const terms = { speed: 1, slots: 1, affinity: 1, cost: 1 };
  return scoreOf(terms, config.selection, { priority, preferred: false, health: 1 });
};
const seeRow = ({ id, tags }: WorkerConfig): unknown =>
  fleetText({ workers: [shown(id, tags)] }, look);

export const workerProbes: Readonly<Record<string, WorkerProbe>> = {
  // test/cli/workers.test.ts, test/daemon/select/select.test.ts and test/daemon/transport drive these for real.
  id: { to: 'other', see: seeLink },
  transport: { to: 'embedded', see: seeLink },
  enabled: { to: false, see: seeLink },
  tags: { to: ['fast'], see: seeRow },
  priority: { to: 50, see: seeScore },
  host: { to: 'elsewhere', see: seeArguments },
  user: { to: 'builder', see: seeArguments },
  port: { to: 2222, see: seeArguments },
  identity_file: { to: '~/key', see: seeArguments },
  command: { to: ['srun'], see: (worker) => commandArgv(worker.command, 'script') },
  total_slots: { to: 3, see: seeSlots },
  slots_per_core: { to: 0.5, see: seeSlots },
  store_limit_gb: { to: 3, see: seeHello },
  clock_shift_ns: { to: '5', see: seeHello },
  ssh_timeout_ms: { to: 900, see: (worker) => limitsOf(worker, {}).timeoutMs },
  heartbeat_interval_sec: { to: 3, see: seeManners },
};
