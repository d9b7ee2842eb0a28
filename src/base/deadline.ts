/** A time limit as a signal. */

/**
 * Aborted after `ms`, or with `outer`, unless `over` was called before. (Node 20 forgets an AbortSignal.timeout that only
 * an AbortSignal.any holds as soon as garbage is collected: it never fires.)
 */
export function deadline(
  ms: number,
  outer?: AbortSignal,
): { readonly signal: AbortSignal; readonly over: () => void } {
  const controller = new AbortController();
  const end = (): void => {
    over();
    controller.abort();
  };
  const timer = setTimeout(end, ms);
  const over = (): void => {
    clearTimeout(timer);
    outer?.removeEventListener('abort', end);
  };
  if (outer?.aborted === true) end();
  else outer?.addEventListener('abort', end, { once: true });
  return { signal: controller.signal, over };
}
