/** A number of jobs as build tools write it; undefined when it bounds nothing. */
export function coresOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,4}$/.test(text)) return undefined;
  const count = Number(text);
  return count > 0 ? count : undefined;
}
