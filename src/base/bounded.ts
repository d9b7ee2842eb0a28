/** Maps that remember what was used of late. */

/** Sets `key` as the newest entry; of more than `most` entries the oldest goes. */
export function keep<T>(map: Map<string, T>, most: number, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  const oldest = map.keys().next();
  if (map.size > most && oldest.done !== true) map.delete(oldest.value);
}
