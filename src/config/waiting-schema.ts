/** The settings of those who wait: for room on a worker, or for their turn here. */
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { key } from './key.ts';

/** Which of several waiting commands goes first. */
export const priorities = ['low', 'normal', 'high'] as const;
export type Priority = (typeof priorities)[number];

export const cores = z.number().int().min(1).max(4096);

/** Commands for which no worker has room. */
export const queue = z
  .strictObject({
    enabled: key(z.boolean().default(true), 'off: nobody waits for a worker', {
      plan: '`enable_queueing`',
    }),
    maxWaitSec: key(
      z.number().min(0).max(86_400).default(60),
      'how long a command waits for room on a worker before it runs here (`RCH_FORCE_REMOTE`, `RCH_WORKER`: ten minutes at least)',
      { plan: 'same, in code' },
    ),
    maxLocalWaitSec: key(
      z.number().min(0).max(86_400).default(600),
      'how long a heavy command waits for its turn here; then it starts all the same',
    ),
    priority: key(
      z.enum(priorities).default('normal'),
      '`low`, `normal`, `high`; `RCH_PRIORITY` for one command',
    ),
  })
  .prefault({});

export const local = z
  .strictObject({
    maxCores: key(cores.optional(), 'cores that heavy commands here may keep busy together', {
      shown: 'all',
      example: availableParallelism(),
    }),
  })
  .prefault({});
