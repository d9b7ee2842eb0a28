/** What a job needs of its link. */
import type { LinkToFront } from '../../src/protocol/ipc.ts';
import type { PushPeer } from '../sync/push.ts';
import type { HoldingsNeeds } from './holdings.ts';
import type { Twins } from './twins.ts';
import type { Pace } from './upload-meter.ts';

export type Done = Extract<LinkToFront, { type: 'done' }>;

export type JobNeeds = HoldingsNeeds & {
  readonly peer: Omit<PushPeer, 'progress' | 'packer'>;
  /** Packs at most at that zstd level; 0: as configured. */
  readonly packerFor: (level: number) => PushPeer['packer'];
  /** Files that the command finishes early are brought while it runs. */
  readonly early: boolean;
  readonly worker: string;
  /** ms a started job waits for its agent, or its launcher, to come back before it is given up. */
  readonly patienceMs: number;
  readonly phase: (phase: string) => void;
  readonly twins: Twins;
  /** How fast uploads to the worker go. */
  readonly pace: Pace;
  /** It begins nothing, since the run of that job serves it too; '' when it runs for itself after all. */
  readonly joined: (to: string) => void;
  readonly report: (done: Done) => void;
  /** Everybody has heard of the end, and nothing is held any more. `kept`: its results stay on the worker. */
  readonly closed: (kept: boolean) => void;
};
