/**
 * What a project's .rch/config.toml may say. It comes with a repository that nobody vouched for: what can only make less
 * happen (keep commands here, exclude workers, lower a limit) counts at once, what could run commands here, reach
 * further or choose where code goes waits for `rch trust`.
 */
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { commandLimit } from './bounds.ts';
import { key } from './key.ts';
import { confidence, exclusions, relativePaths, variables } from './schema.ts';
import { cores, priorities } from './waiting-schema.ts';
import { workerId } from './worker-schema.ts';

const hook = key(z.string().optional(), "in place of the user's; waits for `rch trust`", {
  plan: 'same',
  shown: "the user's",
  // Does nothing, but stands in for the user's own.
  example: 'true',
});

export const projectFile = z.strictObject({
  project: z
    .strictObject({
      id: key(
        z.string().trim().min(1).max(100).optional(),
        'folders with one id (worktrees) share what was learned of times and of what workers hold',
        { plan: 'same', shown: 'the folder', example: 'my-project' },
      ),
      name: key(
        z.string().trim().min(1).max(100).optional(),
        'shown by `rch why` and `rch history --json`, and in the log',
        { plan: 'same', shown: 'none', example: 'My project' },
      ),
      enabled: key(z.boolean().default(true), 'off: every command in this project runs here', {
        plan: 'same',
      }),
      localOnly: key(z.boolean().default(false), 'the same, meant as a passing measure', {
        plan: 'same',
      }),
    })
    .prefault({}),
  workers: z
    .strictObject({
      allowed: key(z.array(workerId).optional(), 'only these of your workers', {
        plan: 'same',
        shown: 'all',
        example: ['css'],
      }),
      preferred: key(
        workerId.optional(),
        'before all others, where it can take the command; waits for `rch trust`',
        { plan: 'same', shown: 'none', example: 'css' },
      ),
      blocked: key(z.array(workerId).default([]), 'not these', { plan: 'same' }),
      minSpeedScore: key(z.number().min(0).optional(), 'no worker that is known to be slower', {
        plan: 'same',
        shown: 'none',
        example: 0,
      }),
    })
    .prefault({}),
  classify: z
    .strictObject({
      confidenceThreshold: key(
        confidence.optional(),
        "raises the user's threshold; a lower one is the user's to set",
        { shown: "the user's", example: 0.85 },
      ),
      exclude: key(
        exclusions.default([]),
        "commands that always run here, besides the user's own",
        { plan: 'same' },
      ),
    })
    .prefault({}),
  transfer: z
    .strictObject({
      excludeExtra: key(
        relativePaths.default([]),
        "files and folders that are not carried, besides the user's own",
        { plan: 'same, with wildcards' },
      ),
      forceInclude: key(
        relativePaths.default([]),
        'files and folders that are carried although the user excludes them; waits for `rch trust`',
        { plan: 'same' },
      ),
      maxSizeMb: key(z.number().positive().optional(), 'lowers `transfer.max_transfer_size_mb`', {
        plan: 'same',
        shown: "the user's",
        example: 20_000,
      }),
    })
    .prefault({}),
  execution: z
    .strictObject({
      timeoutSec: key(
        commandLimit.optional(),
        "in place of the user's `execution.timeout_sec`; a longer one waits for `rch trust`",
        { plan: 'same', shown: "the user's", example: 0 },
      ),
      cores: key(
        cores.optional(),
        "in place of the user's `execution.cores`; no worker gives more than it has free",
        { plan: 'same', shown: "the user's", example: availableParallelism() },
      ),
      env: key(
        variables.default({}),
        'variables for commands on workers, over those of the user; waits for `rch trust`',
        { plan: 'same' },
      ),
    })
    .prefault({}),
  queue: z
    .strictObject({
      priority: key(
        z.enum(priorities).optional(),
        "lowers the priority of this project's commands; a higher one is the user's to set",
        { shown: "the user's", example: 'normal' },
      ),
    })
    .prefault({}),
  sandbox: z
    .strictObject({
      network: key(
        z.boolean().default(true),
        "false: no network for this project's commands; true leaves it to the user's own setting",
        { shown: "the user's" },
      ),
    })
    .prefault({}),
  hooks: z
    .strictObject({
      preTransfer: hook,
      postCompile: hook,
      onFallback: hook,
    })
    .prefault({}),
});
export type ProjectConfig = z.infer<typeof projectFile>;

/** Keys that count only in a file that was trusted; in the file's spelling. */
export const trustedKeys = [
  'workers.preferred',
  'transfer.force_include',
  'execution.env',
  'hooks.pre_transfer',
  'hooks.post_compile',
  'hooks.on_fallback',
] as const;
