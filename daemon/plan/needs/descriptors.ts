/** Descriptors above 2 that a shell text uses and does not open: what its caller has to have open. Pure. */

/** `>&3`, `<&3`, `/dev/fd/3`. */
const used = /(?:[<>]&\s*|\/(?:dev|proc\/self)\/fd\/)([1-9]\d*)/g;
/** `3>file`, `3<&0`; of a line, or by `exec` for what follows. */
const opened = /(?:^|[\s;|&({])([1-9]\d*)(?:<>?|>{1,2})/g;

const numbers = (text: string, form: RegExp): string[] =>
  [...text.matchAll(form)].map(([, number = '']) => number).filter((number) => Number(number) > 2);

/** Their numbers, in decimal. */
export function descriptorsOf(text: string): Set<string> {
  const found = new Set<string>();
  if (!text.includes('&') && !text.includes('/fd/')) return found;
  const kept = new Set(
    text.split('\n').flatMap((line) => (/\bexec\b/.test(line) ? numbers(line, opened) : [])),
  );
  for (const line of text.split('\n')) {
    const own = new Set(numbers(line, opened));
    for (const number of numbers(line, used))
      if (!own.has(number) && !kept.has(number)) found.add(number);
  }
  return found;
}
