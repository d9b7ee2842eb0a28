/** Takes wrappers off a command (sudo, env, nice, timeout …) until the command they run is in front. Pure. */
import type { Word } from './shell.ts';

/** How a wrapper reads its own arguments, by its manual page. */
type Wrapper = {
  /** Short options with a value, joined or separate. */
  readonly short: string;
  /** Long options whose value may be the next word. */
  readonly long: string;
  /** Words of its own before the command: taskset's mask, timeout's duration. */
  readonly operands: number;
  /** Options with which it runs no command. */
  readonly alone: RegExp;
};

const wrapper = (short: string, long = '', more: Partial<Wrapper> = {}): Wrapper => ({
  short,
  long,
  operands: 0,
  alone: /^$/,
  ...more,
});

const wrappers: ReadonlyMap<string, Wrapper> = new Map([
  [
    'sudo',
    wrapper(
      'CDghpRrTtuU',
      'close-from chdir group host prompt chroot role command-timeout type other-user user',
      { alone: /^(-[lvekK]|--(list|validate|edit|remove-timestamp|reset-timestamp))$/ },
    ),
  ],
  ['doas', wrapper('uC', '', { alone: /^-[CL]/ })],
  ['env', wrapper('uC', 'unset chdir')],
  ['time', wrapper('fo', 'format output')],
  ['nice', wrapper('n', 'adjustment')],
  [
    'ionice',
    wrapper('cnpPu', 'class classdata pid pgid uid', { alone: /^(-[pPu]|--(pid|pgid|uid))/ }),
  ],
  ['taskset', wrapper('', '', { operands: 1, alone: /^(-\w*p|--pid)/ })],
  [
    'numactl',
    wrapper(
      'CmMNpPilwf',
      'interleave weighted-interleave preferred preferred-many physcpubind cpunodebind membind localalloc',
      { alone: /^(-[sH]|--(show|hardware))$/ },
    ),
  ],
  ['chrt', wrapper('TPD', '', { operands: 1, alone: /^(-\w*[pm]|--(pid|max))$/ })],
  ['timeout', wrapper('ks', 'kill-after signal', { operands: 1 })],
  ['nohup', wrapper('')],
  ['setsid', wrapper('')],
  ['stdbuf', wrapper('ioe', 'input output error')],
  ['command', wrapper('', '', { alone: /^-[vV]/ })],
  ['builtin', wrapper('')],
  ['exec', wrapper('a')],
  ['unbuffer', wrapper('')],
  ['chronic', wrapper('')],
  ['fakeroot', wrapper('lsbi', 'lib faked fd-base')],
  ['xargs', wrapper('adEILnPs', 'arg-file delimiter max-args max-procs max-chars replace')],
  ['ccache', wrapper('', '', { alone: /^-/ })],
  ['sccache', wrapper('', '', { alone: /^-/ })],
  ['distcc', wrapper('', '', { alone: /^-/ })],
  ['strace', wrapper('abEeIoOPpSsUuXx', 'attach output trace env user')],
  ['ltrace', wrapper('aADeFlnopsuwxX', 'output library')],
  ['perf', wrapper('eopcFrIMDCtmNWGj', 'event output pid count freq repeat', { operands: 1 })],
]);

/** These look at the process they run, which is the compiler itself only when it runs here. */
const tracers: ReadonlySet<string> = new Set(
  'strace ltrace perf gdb lldb valgrind rr uftrace heaptrack'.split(' '),
);

const shells = /^(?:ba|da|k|mk|z|a)?sh$/;

/** What is in front once the wrappers are off. */
export type Unwrapped = {
  readonly words: readonly Word[];
  readonly wrappers: readonly string[];
  readonly assignments: readonly { readonly name: string; readonly value: Word }[];
  /** A text that a shell will read: `sh -c TEXT`, `eval TEXT`. */
  readonly nested: Word | undefined;
  /** The wrapper that looks at the process itself. */
  readonly tracer: string | undefined;
};

/** The name a program is called by, without the folders of an absolute path. */
export function nameOf(word: Word | undefined): string {
  const value = word?.value ?? '';
  return value.startsWith('/') ? value.slice(value.lastIndexOf('/') + 1) : value;
}

type State = {
  words: readonly Word[];
  readonly wrappers: string[];
  readonly assignments: { name: string; value: Word }[];
};

const assignment = /^([A-Za-z_]\w*)=(.*)$/s;

/** The index of the command's first word; undefined when the wrapper runs none. */
function skip(state: State, rule: Wrapper): number | undefined {
  const { words } = state;
  const long = new Set(rule.long.split(' '));
  let operands = rule.operands;
  let options = true;
  for (let at = 1; at < words.length; at += 1) {
    const word = words[at];
    const value = word?.value ?? '';
    if (options && value === '--') options = false;
    else if (options && rule.alone.test(value)) return undefined;
    else if (options && value.startsWith('--')) {
      if (long.has(value.slice(2))) at += 1;
    } else if (options && value.startsWith('-') && value !== '-') {
      const taking = value
        .slice(1)
        .split('')
        .findIndex((char) => rule.short.includes(char));
      if (taking >= 0 && taking === value.length - 2) at += 1;
    } else {
      // sudo and env take them; after the others such a word would be a program nobody has.
      const given = assignment.exec(value);
      if (given?.[1] !== undefined && word !== undefined) {
        state.assignments.push({
          name: given[1],
          value: { ...word, value: given[2] ?? '' },
        });
      } else if (operands > 0) {
        operands -= 1;
      } else return at;
    }
  }
  return undefined;
}

const join = (words: readonly Word[]): Word => ({
  value: words.map((word) => word.value).join(' '),
  literal: words.every((word) => word.literal),
});

/** The text after `-c` of a shell (also `-lc`, `-ec`); undefined when it reads a script or standard input. */
function commandText(words: readonly Word[]): Word | undefined {
  for (let at = 1; at < words.length; at += 1) {
    const value = words[at]?.value ?? '';
    if (!/^[-+]/.test(value) || value === '--') return undefined;
    if (/^-[a-zA-Z]*c/.test(value)) return words[at + 1];
    if (/^[-+]\w*[oO]$|^--(rcfile|init-file)$/.test(value)) at += 1;
  }
  return undefined;
}

/** What `env -S TEXT` splits into words by itself. */
function splitText(words: readonly Word[]): Word | undefined {
  for (let at = 1; at < words.length; at += 1) {
    const word = words[at];
    const value = word?.value ?? '';
    const joined = /^(?:-[iv0]*S|--split-string=?)(.*)$/s.exec(value)?.[1];
    if (joined !== undefined && word !== undefined)
      return join([...(joined === '' ? [] : [{ ...word, value: joined }]), ...words.slice(at + 1)]);
    if (!value.startsWith('-') && !assignment.test(value)) return undefined;
    if (/^-[uC]$|^--(unset|chdir)$/.test(value)) at += 1;
  }
  return undefined;
}

function nestedIn(words: readonly Word[]): Word | undefined {
  const name = nameOf(words[0]);
  if (shells.test(name) || name === 'su') return commandText(words);
  if (name === 'eval') return join(words.slice(1));
  if (name === 'watch') return join(words.slice(1).filter(isNoOption));
  return name === 'env' ? splitText(words) : undefined;
}

const isNoOption = (word: Word): boolean => !word.value.startsWith('-');

/** A shell that is given a script by name, or reads its commands from standard input. */
export function runsScript(words: readonly Word[]): boolean {
  return shells.test(nameOf(words[0])) && commandText(words) === undefined;
}

export function unwrap(words: readonly Word[]): Unwrapped {
  const state: State = { words, wrappers: [], assignments: [] };
  let tracer: string | undefined;
  for (;;) {
    const name = nameOf(state.words[0]);
    if (tracers.has(name)) tracer ??= name;
    const nested = nestedIn(state.words);
    const rule = wrappers.get(name);
    if (nested !== undefined || rule === undefined || state.words[0]?.literal !== true)
      return { ...state, nested, tracer };
    state.wrappers.push(name);
    const at = skip(state, rule);
    state.words = at === undefined ? [] : state.words.slice(at);
    // xargs adds words that nobody knows yet.
    if (name === 'xargs' && at !== undefined)
      state.words = [...state.words, { value: '{}', literal: false }];
  }
}

/** The commands that `find` runs: `-exec CMD … ;` and its kin. */
export function findCommands(words: readonly Word[]): readonly (readonly Word[])[] {
  if (nameOf(words[0]) !== 'find') return [];
  return words.flatMap((word, at) => {
    if (!/^-(exec|execdir|ok|okdir)$/.test(word.value)) return [];
    const rest = words.slice(at + 1);
    const end = rest.findIndex((each) => each.value === ';' || each.value === '+');
    return [rest.slice(0, end < 0 ? rest.length : end)];
  });
}
