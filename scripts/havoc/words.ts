/** What a tool said, as far as a finding tells it. */

/** Its lines that match, in one; where none does, all of them. */
export function wordsOf(said: string, match: RegExp): string {
  const lines = said.split('\n').filter((line) => line.trim() !== '');
  const telling = lines.filter((line) => match.test(line));
  return (telling.length === 0 ? lines : telling).map((line) => line.trim()).join('; ');
}
