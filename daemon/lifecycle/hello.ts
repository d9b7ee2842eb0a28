/** What a link's settings come from: what the agent is told when it is greeted, and how the link itself behaves. Pure. */
import type { Config } from '../../src/config/schema.ts';
import type { WorkerConfig } from '../../src/config/worker-schema.ts';
import type { HelloFacts } from '../../src/protocol/facts.ts';

/** Seconds between two signs of life. */
function heartbeatOf(worker: WorkerConfig, config: Config): number {
  return worker.heartbeatIntervalSec ?? config.daemon.heartbeatIntervalSec;
}

/** `workstation`: who we are to a worker that several share. */
export function helloOf(workstation: string, worker: WorkerConfig, config: Config): HelloFacts {
  return {
    workstation,
    storeLimit: (worker.storeLimitGb ?? config.store.limitGb) * 1e9,
    ...(worker.totalSlots === undefined ? {} : { totalSlots: worker.totalSlots }),
    slotsPerCore: worker.slotsPerCore,
    ownerDeadline: config.execution.resumeTimeoutSec,
    heartbeat: heartbeatOf(worker, config),
    clockShift: worker.clockShiftNs,
    compression: config.artifacts.compressionLevel,
    adaptive: config.transfer.adaptiveCompression,
  };
}

export type LinkManners = {
  /** The highest zstd level of what is sent. */
  readonly compression: number;
  /** Whether the level follows link and CPU. */
  readonly adaptive: boolean;
  /** Seconds a job waits for its agent. */
  readonly ownerDeadline: number;
  /** Between two signs of life, ms. */
  readonly heartbeatMs: number;
  /** Files that a command finishes early are brought while it runs. */
  readonly early: boolean;
};

export function mannersOf(worker: WorkerConfig, config: Config): LinkManners {
  return {
    compression: config.transfer.compressionLevel,
    adaptive: config.transfer.adaptiveCompression,
    ownerDeadline: config.execution.resumeTimeoutSec,
    heartbeatMs: heartbeatOf(worker, config) * 1000,
    early: config.artifacts.incrementalSync,
  };
}
