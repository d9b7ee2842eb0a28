/** Brings the trees of a job to its worker, with words on the way for its launcher and the front. */
import { fail, messageOf, type Result } from '../../src/base/result.ts';
import type { PlannedJob } from '../../src/protocol/ipc.ts';
import { prepare, type Prepared, type PrepareNeeds } from '../sync/prepare.ts';
import type { JobNeeds } from './job-needs.ts';
import type { JobTimes } from './job-times.ts';
import type { Talk } from './talk.ts';
import { TurnLimit } from './turn-limit.ts';
import { UploadMeter } from './upload-meter.ts';

export type PreparingNeeds = Pick<PrepareNeeds, 'book' | 'signal'> &
  Pick<JobNeeds, 'peer' | 'packerFor' | 'worker' | 'phase' | 'pace'> & {
    readonly talk: Talk;
    /** The user's pre_transfer; resolves to the plan after it. */
    readonly hook: (plan: PlannedJob) => Promise<PlannedJob>;
    readonly times: JobTimes;
    /** It took longer than it may, which is the worker's `fault`, or would take too many times what the command takes here. */
    readonly stop: (reason: string, fault: boolean) => void;
  };

/** Never rejects: a bug on the way is a failure too. */
export async function preparing(
  planned: PlannedJob,
  needs: PreparingNeeds,
): Promise<Result<Prepared>> {
  const { talk, phase, times } = needs;
  const { transferMs } = planned;
  talk.begin(`preparing ${needs.worker}`);
  times.limit(transferMs, () => {
    const limit = `${transferMs / 1000} s (transfer.timeout_sec)`;
    needs.stop(`the project was not there after ${limit}`, true);
  });
  const meter = new UploadMeter({
    ...{ pace: needs.pace, hereMs: planned.hereMs, now: () => performance.now() },
    dear: (reason) => {
      needs.stop(reason, false);
    },
  });
  const turn = new TurnLimit({
    ...{ hereMs: planned.hereMs, mostMs: planned.slotWaitMs },
    tired: (root) => {
      const words = Buffer.from(root, 'latin1').toString('utf8');
      needs.stop(`another command had ${words} on ${needs.worker} for too long`, false);
    },
  });
  const prepared = await needs
    .hook(planned)
    .then((plan) =>
      prepare(plan, {
        ...{ book: needs.book, signal: needs.signal, times: times.prepare },
        wait: (root) => turn.wait(root),
        peer: {
          ...needs.peer,
          packer: needs.packerFor(plan.compression),
          progress: (done, total) => {
            talk.progress(done, total);
            meter.moved(done, total);
          },
        },
        phase: (text) => {
          phase(text);
          talk.phase(text);
        },
      }),
    )
    .catch((thrown: unknown) => fail(messageOf(thrown)));
  talk.endPhase();
  times.unlimit();
  return prepared;
}
