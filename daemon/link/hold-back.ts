/** Back-pressure: a stream stands still as long as anything that came on it is at work. */
import type { Readable } from 'node:stream';

/** Gives what is told of each such work. It must not reject. */
export function holdBack(
  stream: Pick<Readable, 'pause' | 'resume'>,
): (work: Promise<void>) => void {
  let held = 0;
  return (work) => {
    held += 1;
    stream.pause();
    void work.finally(() => {
      held -= 1;
      // One that is done says nothing about those after it, whose memory is only theirs while nothing more comes.
      if (held === 0) stream.resume();
    });
  };
}
