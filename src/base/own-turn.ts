/** For work that keeps the event loop for long: between two such pieces, whoever waits is heard. */

let last: Promise<void> = Promise.resolve();

/** Resolves in the order of the calls, each in an iteration of the event loop of its own. */
export function ownTurn(): Promise<void> {
  last = last.then(
    () =>
      new Promise((resolve) => {
        setImmediate(resolve);
      }),
  );
  return last;
}
