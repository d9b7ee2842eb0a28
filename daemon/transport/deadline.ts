/** Waiting with an end. */
import { fail, type Failure, type Result } from '../../src/base/result.ts';

/** The value of `promise`, unless `ms` pass or `signal` aborts first; `what` completes "… did not … in time". */
export function within<T, F = Failure>(
  promise: Promise<Result<T, F>>,
  limit: { readonly ms: number; readonly signal?: AbortSignal | undefined },
  late: string,
): Promise<Result<T, F | Failure>> {
  return new Promise((resolve, reject) => {
    const done = (result: Result<T, F | Failure>): void => {
      clearTimeout(timer);
      limit.signal?.removeEventListener('abort', aborted);
      resolve(result);
    };
    const aborted = (): void => {
      done(fail('the attempt was called off'));
    };
    const timer = setTimeout(() => {
      done(fail(late));
    }, limit.ms);
    if (limit.signal?.aborted === true) aborted();
    limit.signal?.addEventListener('abort', aborted);
    promise.then(done, (thrown: unknown) => {
      clearTimeout(timer);
      limit.signal?.removeEventListener('abort', aborted);
      reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
    });
  });
}
