/** What workers.toml may hold: the machines that commands may run on. */
import { z } from 'zod';
import { withoutBrackets } from '../base/place.ts';
import { storeLimit } from './bounds.ts';
import { key } from './key.ts';

const names = z.array(z.string().min(1));

/** Worker ids are parts of file names and of socket paths, which end at 107 bytes on Linux. */
export const workerId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/, 'letters, digits, "_", "." and "-", at most 32');

/** What a worker may say of itself and `[defaults]` in workers.toml for all. */
const workerDefaults = {
  sshTimeoutMs: key(
    z.number().int().min(100).max(600_000).default(5000),
    'time for a connection to be made, ms',
    { plan: 'same' },
  ),
  slotsPerCore: key(
    z.number().min(0.05).max(16).default(1),
    'slots for each core of the worker, where `total_slots` does not say how many',
    { plan: 'same' },
  ),
  heartbeatIntervalSec: key(
    z.number().min(0.1).max(3600).optional(),
    'seconds between two signs of life',
    { plan: '`30`', shown: '`daemon.heartbeat_interval_sec`' },
  ),
};

export const workerConfig = z
  .strictObject({
    id: key(workerId, 'what you call it'),
    transport: key(
      z.enum(['ssh', 'command', 'embedded']).default('ssh'),
      '`ssh`, `command` (any argv whose stdio reaches a shell there), or `embedded` (a process here)',
    ),
    host: key(
      z.string().min(1).transform(withoutBrackets).optional(),
      'a name, an address, or a Host of ssh_config; ProxyJump and agents work',
    ),
    user: key(z.string().min(1).optional(), 'the account there', { shown: 'from ssh_config' }),
    port: key(z.number().int().min(1).max(65_535).optional(), 'of its sshd', {
      shown: 'from ssh_config',
    }),
    identityFile: key(
      z.string().min(1).optional(),
      'the private key to use; a leading `~/` is the home folder',
      { shown: 'from ssh_config' },
    ),
    command: key(z.array(z.string()).default([]), 'the argv of transport `command`'),
    totalSlots: key(
      z.number().int().min(1).max(4096).optional(),
      'how many cores jobs may take there together',
      { shown: 'its cores' },
    ),
    priority: key(z.number().int().min(0).max(1000).default(100), 'higher is preferred'),
    enabled: key(z.boolean().default(true), 'false: it is not used'),
    tags: key(names.default([]), 'words that `rch workers list` shows'),
    storeLimitGb: key(
      storeLimit.optional(),
      'bytes of content and trees the agent keeps there, in GB (10^9)',
      { shown: '`store.limit_gb`' },
    ),
    clockShiftNs: key(
      z
        .string()
        .regex(/^-?\d{1,19}$/, 'a whole number of nanoseconds, in quotes')
        .default('0'),
      "shifts the agent's clock: for tests, which cannot set a machine's clock",
    ),
    ...workerDefaults,
  })
  .superRefine((worker, context) => {
    if (worker.transport === 'ssh' && worker.host === undefined)
      context.addIssue({ code: 'custom', path: ['host'], message: 'an ssh worker needs a host' });
    if (worker.transport === 'command' && worker.command.length === 0)
      context.addIssue({
        code: 'custom',
        path: ['command'],
        message: 'a worker with transport "command" needs the argv that reaches an agent',
      });
  });
export type WorkerConfig = z.infer<typeof workerConfig>;

/** It is the process of this machine, of which there is one. */
export const isEmbedded = ({ enabled, transport }: WorkerConfig): boolean =>
  enabled && transport === 'embedded';

/** What the user's workers.toml may hold. */
export const workersFileShape = z.strictObject({
  defaults: z.strictObject(workerDefaults).prefault({}),
  workers: z
    .array(workerConfig)
    .default([])
    .superRefine((workers, context) => {
      const seen = new Set<string>();
      for (const [index, worker] of workers.entries()) {
        if (seen.has(worker.id))
          context.addIssue({
            code: 'custom',
            path: [index, 'id'],
            message: `there is already a worker "${worker.id}"`,
          });
        seen.add(worker.id);
      }
      const here = workers.flatMap((worker, index) => (isEmbedded(worker) ? [index] : []));
      for (const index of here.slice(1))
        context.addIssue({
          code: 'custom',
          path: [index, 'transport'],
          message: 'only one worker can be embedded: two would be the same process of this machine',
        });
    }),
});
