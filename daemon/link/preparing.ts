/** Brings the trees of a job to its worker, with words on the way for its launcher and the front. */
import { fail, messageOf, type Result } from '../../src/base/result.ts';
import type { PlannedJob } from '../../src/protocol/ipc.ts';
import { prepare, type Prepared, type PrepareNeeds } from '../sync/prepare.ts';
import type { PushPeer } from '../sync/push.ts';
import type { Talk } from './talk.ts';

export type PreparingNeeds = Pick<PrepareNeeds, 'book' | 'signal' | 'times'> & {
  readonly peer: Omit<PushPeer, 'progress'>;
  readonly worker: string;
  readonly talk: Talk;
  /** Tells the front. */
  readonly phase: (text: string) => void;
};

/** Never rejects: a bug on the way is a failure too. */
export async function preparing(
  plan: PlannedJob,
  { peer, worker, talk, phase, ...needs }: PreparingNeeds,
): Promise<Result<Prepared>> {
  talk.begin(`preparing ${worker}`);
  const prepared = await prepare(plan, {
    ...needs,
    peer: {
      ...peer,
      progress: (done, total) => {
        talk.progress(done, total);
      },
    },
    phase: (text) => {
      phase(text);
      talk.phase(text);
    },
  }).catch((thrown: unknown) => fail(messageOf(thrown)));
  talk.endPhase();
  return prepared;
}
