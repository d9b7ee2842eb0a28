/** Aliases of shells that are a call of ssh: `alias css='ssh -i ~/.ssh/key ubuntu@203.0.113.20'`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mention } from './ssh-hosts.ts';

export type SshAlias = Mention & {
  readonly host: string;
  readonly user: string | undefined;
  readonly port: number | undefined;
  readonly identityFile: string | undefined;
  /** Options that workers.toml has no key for; they belong into ssh_config. */
  readonly beyond: readonly string[];
};

/** The files of zsh and bash, and what people have them read. */
const names = [
  ...['.zshenv', '.zprofile', '.zshrc', '.zshrc.local', '.zsh_aliases', '.zlogin'],
  ...['.bashrc', '.bash_aliases', '.bash_profile', '.bash_login', '.profile'],
  ...['.aliases', '.alias'],
];

/** Words of a shell's line up to what ends a command; undefined where an expansion would have to be made. */
export function shellWords(text: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === "'" || char === '"') {
      const end = text.indexOf(char, at + 1);
      if (end < 0) return undefined;
      const inside = text.slice(at + 1, end);
      if (char === '"' && /[`\\]|\$(?!HOME\b)/.test(inside)) return undefined;
      word = (word ?? '') + inside;
      at = end;
    } else if (char === '\\') {
      at += 1;
      word = (word ?? '') + text.charAt(at);
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (/[;&|<>()]/.test(char) || (char === '#' && word === undefined)) break;
    else if (char === '`' || (char === '$' && !text.startsWith('$HOME', at))) return undefined;
    else word = (word ?? '') + char;
  }
  return word === undefined ? words : [...words, word];
}

/** ssh(1): options with a value. */
const valued = 'BbcDEeFIiJLlmOopQRSWw';

type Call = Omit<SshAlias, keyof Mention>;

/** `[user@]host` or `ssh://[user@]host[:port]`. */
function destination(word: string): Pick<Call, 'host' | 'user' | 'port'> {
  const bare = word.replace(/^ssh:\/\//, '');
  const at = bare.lastIndexOf('@');
  const place = bare.slice(at + 1);
  const port = bare === word ? undefined : /:(\d+)\/?$/.exec(place)?.[1];
  return {
    host: port === undefined ? place.replace(/\/$/, '') : place.replace(/:\d+\/?$/, ''),
    user: at < 0 ? undefined : bare.slice(0, at),
    port: port === undefined ? undefined : Number(port),
  };
}

type Options = { user?: string; port?: number; identityFile?: string; beyond: string[] };

function setting(options: Options, letter: string, value: string, home: string): void {
  const [key = '', given = ''] = letter === 'o' ? value.split(/\s*[= ]\s*/, 2) : [letter, value];
  switch (letter === 'o' ? key.toLowerCase() : key) {
    case 'l':
    case 'user':
      options.user ??= given;
      return;
    case 'p':
    case 'port':
      options.port ??= Number(given);
      return;
    case 'i':
    case 'identityfile':
      options.identityFile ??= given.replace(/^(~|\$HOME)(?=\/)/, home);
      return;
    case 'e':
    case 'L':
    case 'R':
    case 'D':
      // They are about the terminal and about forwarding, not about how to get there.
      return;
    default:
      options.beyond.push(`-${letter} ${value}`);
  }
}

/** The place that a call of ssh leads to; undefined when it is none. */
export function sshCall(words: readonly string[], home: string): Call | undefined {
  const rest = [...words];
  while (/^(?:exec|command|TERM=\S*|env)$/.test(rest[0] ?? '')) rest.shift();
  if (!/^(?:.*\/)?ssh$/.test(rest.shift() ?? '')) return undefined;
  const options: Options = { beyond: [] };
  let place: Call | undefined;
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (!word.startsWith('-') || word === '-') {
      place = { ...destination(word), identityFile: undefined, beyond: [] };
      break;
    }
    // Flags may stand together, the last of them with a value: `-Ati key`.
    for (let at = 1; at < word.length; at++) {
      const letter = word.charAt(at);
      if (!valued.includes(letter)) continue;
      setting(options, letter, word.slice(at + 1) || (rest.shift() ?? ''), home);
      break;
    }
  }
  if (place === undefined || place.host === '' || /[$`*]/.test(place.host)) return undefined;
  return {
    host: place.host,
    user: options.user ?? place.user,
    port: options.port ?? place.port,
    identityFile: options.identityFile,
    beyond: options.beyond,
  };
}

/** The aliases in the text of one file. */
export function aliasesIn(text: string, file: string, home: string): SshAlias[] {
  return text.split('\n').flatMap((line, index) => {
    const found = /^\s*alias\s+(?:(?:-[gs]|--)\s+)*([^\s='"]+)=(.*)$/.exec(line);
    const [, name, value] = found ?? [];
    if (name === undefined || value === undefined) return [];
    const inside = shellWords(value)?.[0];
    const words = inside === undefined ? undefined : shellWords(inside);
    const call = words === undefined ? undefined : sshCall(words, home);
    return call === undefined ? [] : [{ name, file, line: index + 1, ...call }];
  });
}

/** Those of the user; the last alias of a name counts, as in a shell. */
export function sshAliases(home: string, zsh = home): SshAlias[] {
  const files = [...new Set([...names.map((name) => join(home, name)), join(zsh, '.zshrc')])];
  const all = files.flatMap((file) => {
    try {
      return aliasesIn(readFileSync(file, 'utf8'), file, home);
    } catch {
      return [];
    }
  });
  return all.filter((each, at) => all.findLastIndex(({ name }) => name === each.name) === at);
}
