/** What is typed on a terminal in raw mode, key by key (xterm's sequences, which all terminals of today send). */

const named: Readonly<Record<string, string>> = {
  '\r': 'enter',
  '\n': 'enter',
  '\t': 'tab',
  '\u001b[Z': 'backtab',
  '\u007f': 'backspace',
  '\b': 'backspace',
  '\u0003': 'ctrl-c',
  '\u000c': 'ctrl-l',
  '\u001a': 'ctrl-z',
  '\u001b': 'esc',
  '\u001b[A': 'up',
  '\u001bOA': 'up',
  '\u001b[B': 'down',
  '\u001bOB': 'down',
  '\u001b[5~': 'pageup',
  '\u001b[6~': 'pagedown',
  '\u001b[H': 'home',
  '\u001bOH': 'home',
  '\u001b[1~': 'home',
  '\u001b[F': 'end',
  '\u001bOF': 'end',
  '\u001b[4~': 'end',
};

const key = /\u001b(?:\[[0-?]*[ -/]*[@-~]|O[@-~])|[^]/gu;

/** Names of keys, and characters as they are; sequences that are none of ours are left out. */
export function keysIn(text: string): string[] {
  return [...text.matchAll(key)].flatMap(([typed]) => {
    const name = named[typed];
    if (name !== undefined) return [name];
    return typed >= ' ' ? [typed] : [];
  });
}
