/** Tiers 0 and 2 for one command: programs that never build, and words that hint at a build. Pure. */
import { familyOf } from '../family.ts';
import type { Word } from './shell.ts';
import { nameOf, runsScript } from './wrappers.ts';

/** Programs that never compile anything here (plan 5.3, tier 0), and what each group is for. */
const groups: readonly (readonly [string, string])[] = [
  ['looks around', 'cd pushd popd dirs ls pwd tree stat file realpath readlink basename dirname'],
  ['shows files', 'cat head tail less more bat view tee'],
  [
    'handles files',
    'mkdir rmdir touch rm cp mv ln chmod chown chgrp install mktemp tar gzip gunzip unzip zip',
  ],
  [
    'handles text',
    'grep egrep fgrep rg ag awk gawk sed sort uniq wc cut tr diff comm join jq column fmt',
  ],
  ['is version control', 'git hg svn jj gh glab'],
  ['works in a container or a cluster', 'docker podman kubectl helm'],
  ['works on another machine', 'ssh scp rsync sftp mosh'],
  ['uses the network', 'curl wget http nc ping dig'],
  [
    'manages packages',
    'pip pip3 pipx uv npm npx yarn pnpm bun apt apt-get apt-cache dpkg brew dnf yum pacman apk snap rustup',
  ],
  [
    'belongs to the shell',
    'echo printf export declare local readonly typeset source . alias unalias which type whereis hash set unset shopt trap true false : test [ read return exit break continue shift wait ulimit umask sleep',
  ],
  ['handles processes', 'ps top htop kill pkill pgrep killall jobs fg bg disown'],
  [
    'shows the system',
    'uname hostname whoami id groups df du free uptime date nproc lscpu env printenv',
  ],
  ['is an editor', 'vim vi nvim nano emacs code subl'],
  ['is rch itself', 'rch rchd'],
];

const rejected: ReadonlyMap<string, string> = new Map(
  groups.flatMap(([what, names]) => names.split(' ').map((name) => [name, what] as const)),
);

const asks = /^(--help|--version|-h|-V)$/;

/** Why a command is none of ours at first sight; undefined when that cannot be said. */
export function instantReject(words: readonly Word[]): string | undefined {
  const [first] = words;
  if (first === undefined) return 'there is no command';
  if (!first.literal) return undefined;
  const what = rejected.get(nameOf(first));
  if (what !== undefined) return `${nameOf(first)} ${what}`;
  if (runsScript(words)) return undefined;
  const end = words.findIndex((word) => word.value === '--');
  const question = words
    .slice(1, end < 0 ? words.length : end)
    .find((word) => word.literal && asks.test(word.value));
  return question === undefined ? undefined : `${question.value} only asks`;
}

const keywords = 'cargo rustc gcc g++ clang make cmake ninja meson bazel'.split(' ');
const scripts = /\.(sh|bash|zsh|ksh)$|(^|\/)(configure|autogen|bootstrap|build)$/;

/** The first hint at a build in a text that is read as a whole. */
export function keywordIn(text: string): string | undefined {
  return keywords.find((keyword) => text.includes(keyword));
}

/** Why a command may have to do with a build; undefined when no word of it hints at one. */
export function hint(words: readonly Word[], text: string): string | undefined {
  const [first] = words;
  if (first === undefined) return undefined;
  const name = nameOf(first);
  if (!first.literal) return `${first.value} may stand for anything`;
  if (familyOf(name) !== undefined && !name.includes('/')) return `${name} is a build tool`;
  if (runsScript(words)) return `${name} runs a script, which may call anything`;
  if (scripts.test(name)) return `${name} is a script, which may call anything`;
  const keyword = keywordIn(words.map((word) => word.value).join('\n')) ?? keywordIn(text);
  return keyword === undefined ? undefined : `it speaks of ${keyword}`;
}
