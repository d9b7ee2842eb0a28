/** Machines are found where ssh_config(5) and shells name them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createColors } from 'picocolors';
import { discoverTable, picked, type Asked } from '../../../src/cli/workers/discover.ts';
import { candidates, idFrom, joined, type Candidate } from '../../../src/cli/workers/found.ts';
import { aliasesIn, shellWords, sshAliases } from '../../../src/cli/workers/ssh-aliases.ts';
import { namesOn, sshHosts, wordsOf } from '../../../src/cli/workers/ssh-hosts.ts';

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'rch-discover-'));
  const files: Readonly<Record<string, string>> = {
    '.ssh/config':
      'Include conf.d/*.conf none/*\nHost css csd\n  User builder\nHost *.lan !box ?x\n' +
      'Match host fmd,*.wild exec "true" originalhost yto\n  Port 2222\n# Host not-this\nhost=tight\n',
    '.ssh/conf.d/a.conf': 'Host inner\n  Include ~/.ssh/deeper\n',
    '.ssh/conf.d/.hidden.conf': 'Host hidden\n',
    '.ssh/deeper': 'HOST deep "quoted name"\nInclude deeper\n',
    'etc/ssh_config': 'Host css system\n',
    '.zshrc.local':
      "alias css2='ssh -i ~/.ssh/key ubuntu@203.0.113.20'\nalias twice='ssh a@b'\nalias twice='ssh a@c'\n",
    '.bashrc': 'alias far="TERM=xterm ssh -p 2200 -o User=me far.example && ls"\n',
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(home, name)), { recursive: true });
    writeFileSync(join(home, name), text);
  }
});
afterAll(() => {
  rmSync(home, { recursive: true });
});

describe('ssh_config', () => {
  it('is read with what it includes, in order, patterns left out, each name once', () => {
    const found = sshHosts(home, join(home, 'etc', 'ssh_config'));
    expect(found.map(({ name }) => name)).toEqual([
      ...['inner', 'deep', 'quoted name', 'css', 'csd', 'fmd', 'yto', 'tight', 'system'],
    ]);
    expect(found.find(({ name }) => name === 'deep')).toEqual({
      ...{ name: 'deep', file: join(home, '.ssh', 'deeper'), line: 1 },
    });
  });

  it.each([
    ['Host a b # c', ['host', 'a', 'b']],
    ['  HostName = 10.0.0.1', ['hostname', '10.0.0.1']],
    ['Host "a b" c', ['host', 'a b', 'c']],
    ['# Host a', []],
    ['', []],
  ])('%s has the words %j', (line, words) => {
    expect(wordsOf(line)).toEqual(words);
  });

  it.each([
    [
      ['match', 'user', 'host', 'host', 'a,*.b,c'],
      ['a', 'c'],
    ],
    [['match', 'all'], []],
    [['port', '22'], []],
  ])('%j names %j', (words, names) => {
    expect(namesOn(words)).toEqual(names);
  });
});

describe('an alias', () => {
  const none = { user: undefined, port: undefined, identityFile: undefined, beyond: [] };

  it.each<[string, object]>([
    [`alias a='ssh h'`, { ...none, host: 'h' }],
    [`alias a='ssh -i key me@h'`, { ...none, host: 'h', user: 'me', identityFile: 'key' }],
    [`alias a="ssh -Ap2222 h"`, { ...none, host: 'h', port: 2222 }],
    [`alias -g a='ssh -l me h tmux attach'`, { ...none, host: 'h', user: 'me' }],
    [`alias a='ssh ssh://me@h:2200'`, { ...none, host: 'h', user: 'me', port: 2200 }],
    [`alias a='ssh -o Port=22 -o "User me" h'`, { ...none, host: 'h', user: 'me', port: 22 }],
    [`alias a='ssh -i $HOME/.ssh/k h'`, { ...none, host: 'h', identityFile: '/home/me/.ssh/k' }],
    [`alias a='ssh -J jump h'`, { ...none, host: 'h', beyond: ['-J jump'] }],
    [`alias a='exec /usr/bin/ssh -L 1:h:2 h'`, { ...none, host: 'h' }],
    ["alias -- a='ssh h'", { ...none, host: 'h' }],
  ])('%s leads to one place', (line, place) => {
    expect(aliasesIn(line, 'f', '/home/me')).toEqual([{ name: 'a', file: 'f', line: 1, ...place }]);
  });

  it.each([
    `alias a='sshfs h:/ /mnt'`,
    `alias a='ssh "$(pick-host)"'`,
    'alias a="ssh $HOST"',
    `alias a='ssh -V'`,
    `alias a='mosh h'`,
    `# alias a='ssh h'`,
    `alias a='ssh h`,
  ])('%s leads nowhere', (line) => {
    expect(aliasesIn(line, 'f', '/home/me')).toEqual([]);
  });

  it('is the last one of its name, as in a shell', () => {
    expect(sshAliases(home).map(({ name, host }) => [name, host])).toEqual([
      ['css2', '203.0.113.20'],
      ['twice', 'c'],
      ['far', 'far.example'],
    ]);
  });

  it('is read word by word', () => {
    expect(shellWords(`a 'b c'"d"\\ e # f`)).toEqual(['a', 'b cd e']);
    expect(shellWords('a `b`')).toBeUndefined();
  });
});

describe('the answer to the table', () => {
  const row = (id: string, state: Asked['state']): Asked => ({
    found: {
      ...{ id, host: id, user: undefined, port: undefined, identityFile: undefined },
      ...{ effective: { host: id, user: 'me', port: 2222 }, from: [], known: undefined },
      skipped: '',
    },
    ...{ state, reason: `is ${state}`, next: '', hostKey: null, survey: null },
  });
  const rows = [row('css', 'ready'), row('mac', 'unsuited'), row('csd', 'ready')];
  const ids = (answer: string): unknown => {
    const chosen = picked(answer, rows);
    return chosen.ok ? chosen.value.map(({ found }) => found.id) : chosen.failure.reason;
  };

  it.each([
    ['', []],
    ['all', ['css', 'csd']],
    ['3, css 1', ['csd', 'css']],
    ['2', 'mac cannot be added: is unsuited'],
    ['4', '"4" is no id and no number of the table'],
    ['fmd', '"fmd" is no id and no number of the table'],
  ])('%j means %j', (answer, expected) => {
    expect(ids(answer)).toEqual(expected);
  });

  it('is given to numbered rows', () => {
    const lines = discoverTable(rows, { width: 80, colors: createColors(false) }).split('\n');
    expect(lines[2]).toBe('2  mac  me@mac:2222  unsuited: is unsuited');
  });
});

describe('machines', () => {
  const candidate = (name: string, more: Partial<Candidate> = {}): Candidate => ({
    ...{ name, host: name, user: undefined, port: undefined, identityFile: undefined },
    ...{ from: `f:${name}`, beyond: [], ...more },
  });
  const at = (host: string): { host: string; user: string; port: number } => ({
    ...{ host, user: 'me', port: 22 },
  });

  it('are gathered from both, with where they were named', () => {
    const all = candidates(home, undefined).map(({ name, from }) => [name, from]);
    expect(all).toContainEqual(['inner', `${join(home, '.ssh/conf.d/a.conf')}:1`]);
    expect(all).toContainEqual(['far', `${join(home, '.bashrc')}:1`]);
  });

  it('have one row each, however many names lead there, and ids that nobody has', () => {
    const rows = joined(
      [
        { candidate: candidate('css'), effective: at('10.0.0.1') },
        { candidate: candidate('alias'), effective: at('10.0.0.1') },
        { candidate: candidate('box'), effective: at('10.0.0.2') },
        { candidate: candidate('old'), effective: at('10.0.0.3') },
        { candidate: candidate('jump', { beyond: ['-J x'] }), effective: at('10.0.0.4') },
        { candidate: candidate('hub'), effective: at('github.com') },
      ],
      new Map([['me@10.0.0.3:22', 'worker']]),
      ['worker', 'box'],
    );
    expect(rows.map(({ id, from, known, skipped }) => [id, from.length, known, skipped])).toEqual([
      ['css', 2, undefined, ''],
      ['box-2', 1, undefined, ''],
      ['worker', 1, 'worker', ''],
      ['jump', 1, undefined, 'its alias needs -J x: put that into ~/.ssh/config under a Host'],
      ['hub', 1, undefined, 'it serves git'],
    ]);
  });

  it.each([
    ['build.example.org', 'build.example.org'],
    ['me@host', 'me-host'],
    ['-x', 'x'],
    ['---', ''],
    ['a'.repeat(40), 'a'.repeat(32)],
  ])('%s may be called %s', (name, id) => {
    expect(idFrom(name)).toBe(id);
  });
});
