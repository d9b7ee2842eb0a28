/** The kinds of standard output and standard error that each case is run with. */
export const streamKinds = [
  'pipe+pipe',
  'terminal+terminal',
  'terminal+pipe',
  'pipe+terminal',
  'file+file',
  'one pipe',
] as const;
export type StreamKinds = (typeof streamKinds)[number];

/** The letters of `rch-run record`; a case with a standard input of its own has `i` first. */
export function recordLetters(kinds: StreamKinds, ownInput: boolean): string {
  switch (kinds) {
    case 'pipe+pipe':
      return 'ipp';
    case 'terminal+terminal':
      return ownInput ? 'itt' : 'ttt';
    case 'terminal+pipe':
      return 'itp';
    case 'pipe+terminal':
      return 'ipt';
    case 'file+file':
      return 'iff';
    case 'one pipe':
      return 'ip=';
  }
}

/** FNV-1a, 32 bits: the same for a name everywhere and always. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** The kinds a case is run with: all, or one that depends on its name alone, so that a set of cases has every kind. */
export function kindsOf(id: string, all: boolean): readonly StreamKinds[] {
  if (all) return streamKinds;
  const one = streamKinds[hashOf(id) % streamKinds.length];
  return one === undefined ? [] : [one];
}
