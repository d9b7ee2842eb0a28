/** Which files a compiler call writes when nothing but its options is known: gcc(1), "Overall Options". */
import { posix } from 'node:path';

export type OutputCall = {
  readonly mode: 'link' | 'object' | 'assembly' | 'preprocess' | 'syntax';
  /** -o's value. */
  readonly output: string | undefined;
  readonly sources: readonly string[];
  readonly dependencies: 'none' | 'only' | 'beside';
  readonly words: readonly string[];
};

/** Options that make further files, whose names depend on much else. */
const more = new RegExp(
  `^(?:${[
    '-save-temps.*',
    '-gsplit-dwarf.*',
    '--?coverage',
    '-ftest-coverage',
    '-f(cs-)?profile-.*',
    '-fauto-profile.*',
    '-fdump-.*',
    '-d[A-Za-z].*',
    '-fstack-usage',
    '-fcallgraph-info.*',
    '-ftime-trace.*',
    '-fproc-stat-report.*',
    '-f(c\\+\\+-)?module.*',
    '-fdeps-.*',
    '-fplugin.*',
    '-fopt-info.*',
    '-f(save-)?optimization-record.*',
    '-fdiagnostics-(format|add-output|set-output)=.*',
    '-aux-info',
    '-MJ.*',
    '-emit-.*',
    '-Xclang',
    '-wrapper',
    // Other programs than the compiler's own run then.
    '-B.*',
    '--?specs=.*',
  ].join('|')})$`,
);

/** A name with another suffix, as gcc derives one output from another. */
function renamed(path: string, suffix: string): string {
  const { dir, name } = posix.parse(path);
  return posix.join(dir, name + suffix);
}

/** Whether -MF says where the dependencies go. */
export function namesDependencies(words: readonly string[]): boolean {
  return words.some((word) => word.startsWith('-MF'));
}

/** The files beside those that options name themselves; undefined where they cannot be known. */
export function ownOutputsOf(call: OutputCall): string[] | undefined {
  const { mode, output, sources, words } = call;
  if (mode === 'preprocess' || call.dependencies === 'only') return undefined;
  if (words.some((word) => more.test(word))) return undefined;
  // A header makes a precompiled one, under a name of its own.
  if (sources.some((each) => /\.(h|hh|H|hp|hxx|hpp|HPP|h\+\+|tcc|cppm|ixx)$/.test(each)))
    return undefined;
  const beside = call.dependencies === 'beside' && !namesDependencies(words);
  if (mode === 'syntax') return beside ? undefined : [];
  if (mode === 'link') return beside ? undefined : [output ?? 'a.out'];
  const suffix = mode === 'object' ? '.o' : '.s';
  const made =
    output === undefined ? sources.map((each) => renamed(posix.basename(each), suffix)) : [output];
  return beside ? [...made, ...made.map((each) => renamed(each, '.d'))] : made;
}
