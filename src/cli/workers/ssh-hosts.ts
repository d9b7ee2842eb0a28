/** The hosts that ssh_config(5) names: Host and Match lines of the files and of what they include. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export type Mention = {
  /** What one writes behind `ssh`. */
  readonly name: string;
  readonly file: string;
  /** From 1. */
  readonly line: number;
};

/** As deep as ssh itself follows Include (readconf.c, READCONF_MAX_DEPTH). */
const DEEPEST = 16;

/** Splits a line as ssh does: the keyword may end with `=`, words may stand in double quotes, `#` begins a remark. */
export function wordsOf(line: string): string[] {
  const words: string[] = [];
  const pattern = /"([^"]*)"|(#.*)|([^\s"=#][^\s"]*)|=/gy;
  let rest = line.trim();
  const keyword = /^([A-Za-z]+)\s*=?\s*/.exec(rest);
  if (keyword?.[1] === undefined) return [];
  words.push(keyword[1].toLowerCase());
  rest = rest.slice(keyword[0].length);
  for (let at = 0; at < rest.length;) {
    const space = /^\s+/.exec(rest.slice(at));
    if (space !== null) {
      at += space[0].length;
      continue;
    }
    pattern.lastIndex = at;
    const found = pattern.exec(rest);
    if (found === null || found[2] !== undefined) break;
    const word = found[1] ?? found[3];
    if (word !== undefined) words.push(word);
    at = pattern.lastIndex;
  }
  return words;
}

/** A name that means one host, not a pattern. */
const single = (name: string): boolean => name !== '' && !/[*?!%]/.test(name);

/** Criteria of Match without a value. */
const bare = new Set(['all', 'canonical', 'final']);

/** The names on one line: patterns of Host, and lists behind `host` and `originalhost` of Match. */
export function namesOn(words: readonly string[]): string[] {
  const [keyword, ...rest] = words;
  if (keyword === 'host') return rest.filter(single);
  if (keyword !== 'match') return [];
  const names: string[] = [];
  for (let at = 0; at < rest.length; at++) {
    const criterion = rest[at]?.toLowerCase() ?? '';
    if (bare.has(criterion)) continue;
    const value = rest[++at] ?? '';
    if (criterion === 'host' || criterion === 'originalhost')
      names.push(...value.split(',').filter(single));
  }
  return names;
}

function matcher(pattern: string): RegExp {
  const source = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*');
  return new RegExp(`^${source.replace(/\?/g, '.')}$`);
}

/** The files that a pattern of Include means (glob(3), without brackets), in order. */
function globbed(pattern: string): string[] {
  let found = ['/'];
  for (const part of pattern.split('/').filter((each) => each !== '')) {
    if (!/[*?]/.test(part)) {
      found = found.map((folder) => join(folder, part));
      continue;
    }
    const fits = matcher(part);
    found = found.flatMap((folder) => {
      let names: string[];
      try {
        names = readdirSync(folder);
      } catch {
        return [];
      }
      const shown = names.filter((name) => fits.test(name) && !name.startsWith('.'));
      return shown.sort().map((name) => join(folder, name));
    });
  }
  return found;
}

/** The hosts named in `file`, and in what it includes; `base` is where relative includes lie. */
function mentionsIn(file: string, at: { home: string; base: string }, depth: number): Mention[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line, index) => {
    const words = wordsOf(line);
    if (words[0] !== 'include')
      return namesOn(words).map((name) => ({ name, file, line: index + 1 }));
    if (depth >= DEEPEST) return [];
    return words.slice(1).flatMap((pattern) => {
      const expanded = pattern.startsWith('~/') ? join(at.home, pattern.slice(2)) : pattern;
      const whole = expanded.startsWith('/') ? expanded : join(at.base, expanded);
      return globbed(whole).flatMap((each) => mentionsIn(each, at, depth + 1));
    });
  });
}

/** Those of the user and of the system, the first mention of each name. */
export function sshHosts(home: string, system = '/etc/ssh/ssh_config'): Mention[] {
  const own = join(home, '.ssh', 'config');
  const all = [
    ...mentionsIn(own, { home, base: dirname(own) }, 0),
    ...mentionsIn(system, { home, base: dirname(system) }, 0),
  ];
  return all.filter((each, at) => all.findIndex(({ name }) => name === each.name) === at);
}
