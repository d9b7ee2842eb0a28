/** What tools themselves do not reproduce from one run to the next, replaced by words. Nothing else is touched. */

type Replacement = readonly [RegExp, string];

const replacements = {
  /** Names of temporary files, as -v shows them: gcc's ccXXXXXX.s, clang's NAME-abcdef.o, ld's. */
  temporary: [
    [/(\/[\w./-]*?)?\/cc[A-Za-z0-9]{6}(\.[\w.]+)?/g, 'TEMPORARY$2'],
    [/(\/[\w./-]*?)?\/([\w-]+)-[0-9a-f]{6}(\.[a-z]+)/g, 'TEMPORARY/$2$3'],
    [/(\/[\w./-]*?)?\/rustc[A-Za-z0-9]{6}/g, 'TEMPORARY'],
  ],
  /** cargo's and libtest's "in 0.52s". */
  time: [
    [/in (\d+m )?\d+\.\d+s/g, 'in TIME'],
    [/finished in \d+\.\d+s/g, 'finished in TIME'],
  ],
  /** cargo's progress bar, drawn every so many milliseconds, and the erasing that goes with it. */
  progress: [
    [
      /(\r|\u001b\[K|\u001b\]9;4;[\d;]*\u001b\\)*\u001b\[1m\u001b\[9\dm +Building\u001b\[0m \[[^\r\n]*\r?/g,
      '',
    ],

    [/\r?\u001b\[K/g, ''],

    [/\u001b\]9;4;[\d;]*\u001b\\/g, ''],
  ],
  /** cargo's word that another cargo of this machine is at work. */
  lock: [[/(\u001b\[[\d;]*m)* *Blocking(\u001b\[0m)? waiting for file lock on [^\n]*\n/g, '']],
  /** Process ids in compilers' and makes' messages. */
  pid: [[/\b(pid|process) \d+/g, '$1 PID']],
  /** Thread and process ids that rustc's panic messages hold. */
  thread: [[/thread '([^']*)' \(\d+\)/g, "thread '$1' (ID)"]],
  /** Lines written by jobs side by side: compared as a set. */
  lines: [],
} as const satisfies Readonly<Record<string, readonly Replacement[]>>;

export type Normalisation = keyof typeof replacements;
export const normalisations = Object.keys(replacements) as [Normalisation, ...Normalisation[]];

/** The output without what the tool does not reproduce; bytes as latin1. */
export function normalised(bytes: Buffer, by: readonly Normalisation[]): string {
  let text = bytes.toString('latin1');
  for (const name of by) {
    for (const [pattern, words] of replacements[name] as readonly Replacement[])
      text = text.replace(pattern, words);
    if (name === 'lines') text = text.split('\n').sort().join('\n');
  }
  return text;
}
