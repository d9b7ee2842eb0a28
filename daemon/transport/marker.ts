/** Finds where our own bytes begin in a stream that a login shell may have written to before us. */
import type { Readable } from 'node:stream';
import { fail, ok, type Result } from '../../src/base/result.ts';

/** Bytes before the marker that are taken for noise; more, and the far side is not what we expect. */
const NOISE_LIMIT = 64 << 10;
/** Bytes of the noise shown in a failure. */
const SHOWN = 400;

export type MarkerWait = { readonly ms: number; readonly signal?: AbortSignal | undefined };

/** Printable text of unexpected output, for a message. */
export function shown(noise: string): string {
  const text = noise.replace(/[^\x20-\x7e\n]/g, '').trim();
  if (text === '') return 'It printed nothing';
  const cut = text.length > SHOWN ? `…${text.slice(-SHOWN)}` : text;
  return `It printed: ${cut}`;
}

/** Reads up to and with `marker`; what follows stays in the stream. The value is the noise that came before. */
export function skipTo(
  stream: Readable,
  marker: Buffer,
  wait: MarkerWait,
): Promise<Result<string>> {
  return new Promise((resolve) => {
    let held: Buffer = Buffer.alloc(0);
    const done = (result: Result<string>): void => {
      clearTimeout(timer);
      wait.signal?.removeEventListener('abort', aborted);
      stream.off('readable', readable);
      stream.off('end', ended);
      stream.off('close', ended);
      stream.off('error', ended);
      resolve(result);
    };
    const noise = (): string => shown(held.toString('latin1'));
    const aborted = (): void => {
      done(fail('the attempt was called off'));
    };
    const ended = (): void => {
      done(fail(`the far side closed the stream. ${noise()}`));
    };
    const readable = (): void => {
      for (;;) {
        const chunk = stream.read() as Buffer | null;
        if (chunk === null) return;
        held = Buffer.concat([held, chunk]);
        const at = held.indexOf(marker);
        if (at >= 0) {
          const rest = held.subarray(at + marker.length);
          if (rest.length > 0) stream.unshift(rest);
          done(ok(held.toString('latin1', 0, at)));
          return;
        }
        if (held.length > NOISE_LIMIT) {
          done(fail(`the far side does not speak our protocol. ${noise()}`));
          return;
        }
      }
    };
    const timer = setTimeout(() => {
      done(fail(`the far side did not answer within ${Math.round(wait.ms / 1000)} s. ${noise()}`));
    }, wait.ms);
    if (wait.signal?.aborted === true) {
      aborted();
      return;
    }
    wait.signal?.addEventListener('abort', aborted);
    stream.on('readable', readable);
    stream.on('end', ended);
    stream.on('close', ended);
    stream.on('error', ended);
  });
}
