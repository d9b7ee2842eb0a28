/** What a log may say of a command: words without its arguments, since these may hold passwords. Pure. */
import type { JournalLine } from './record.ts';

/** Shorter arguments are too common to be told from other words, and no secrets. */
const LEAST = 3;

const special = /[.*+?^${}()|[\]\\]/g;

/** An argument, and what stands in it behind `=`, as of `--token=x`, `-DKEY=x` or `TOKEN=x`. */
function partsOf(word: string): string[] {
  const at = word.indexOf('=');
  return at < 0 ? [word] : [word, word.slice(at + 1)];
}

/** `text` with `…` for every argument of `argv` that stands in it, but for the words of `kind` ("cargo build"). */
export function withoutArguments(text: string, argv: readonly string[], kind: string): string {
  const known = new Set(kind.split(' '));
  const parts = argv
    .slice(1)
    .flatMap(partsOf)
    .filter((part) => part.length >= LEAST && !known.has(part) && text.includes(part))
    .sort((a, b) => b.length - a.length);
  return parts.reduce(
    (left, part) =>
      left.replace(new RegExp(`(?<!\\w)${part.replace(special, '\\$&')}(?!\\w)`, 'gu'), '…'),
    text,
  );
}

/** The tool and what kind of command it is: `make`, `cargo build`. */
export function commandWords({ tool, kind }: Pick<JournalLine, 'tool' | 'kind'>): string {
  return kind === '' ? tool.slice(tool.lastIndexOf('/') + 1) : kind;
}

/** Why a command runs where it runs. */
export function reasonWords(line: Pick<JournalLine, 'reason' | 'argv' | 'kind'>): string {
  return withoutArguments(line.reason, line.argv, line.kind);
}
