/** Paths in the text of build files and sources that may lead out of the project by `..`. Pure. */
import { posix } from 'node:path';
import { isWithin } from '../files.ts';

const word = /[\w.+@%~/-]*\.\.\/[\w.+@%~/-]*[\w+@%~-]/g;

/** The path in a word: a flag that it is joined to (`-I../x`) is no part of it. */
const pathOf = (text: string): string =>
  text.startsWith('-') ? text.replace(/^.*?(?=\.\.\/)/, '') : text;

/** Whether a path lies beside `root`; the project lies in what is above it: that is no path in particular. */
export const leadsOut = (path: string, root: string): boolean =>
  !isWithin(path, root) && !isWithin(root, path);

/** What the words of `text` that have a `..` may mean, from each of `bases`, as far as it lies outside `root`. */
export function outwardPaths(text: string, bases: Iterable<string>, root: string): string[] {
  if (!text.includes('../')) return [];
  const words = new Set([...text.matchAll(word)].map(([each]) => pathOf(each)));
  const found = new Set<string>();
  for (const base of new Set(bases))
    for (const each of words) {
      const path = posix.resolve(base, each);
      if (leadsOut(path, root)) found.add(path);
    }
  return [...found];
}

const entering = /(?:-C|\bcd|--directory)[=\s]*["']?([^\s"';&|)]+)/g;

/** Where `text` goes to build: as outwardPaths; where a variable says it, all that leads out. */
export function enteredPaths(text: string, bases: Iterable<string>, root: string): string[] {
  const words = [...text.matchAll(entering)].map((match) => match[1] ?? '');
  return outwardPaths(
    words.some((each) => each.includes('$')) ? text : words.join(' '),
    bases,
    root,
  );
}

/** as(1): bytes that an assembler takes in as they are; in C within `asm("…")`. */
const incbin = /\.incbin\s+\\?"((?:\/|[^"\\\n]*\.\.\/)[^"\\\n]*)/g;

/** What a source names between quotes by a path with `..`: an include, a macro for one, a file of bytes (of those absolute ones too). */
export function outwardLiterals(text: string): string[] {
  const found = text.includes('.incbin') ? [...text.matchAll(incbin)] : [];
  if (text.includes('../')) found.push(...text.matchAll(/"([^"\n]*\.\.\/[^"\n]*)"/g));
  return [...new Set(found.map((match) => match[1] ?? ''))];
}

/** The same between angle brackets, which a compiler looks for in the folders it is told of. */
export function outwardHeaders(text: string): string[] {
  if (!text.includes('../')) return [];
  const found = text.matchAll(/<([^<>"\n]*\.\.\/[^<>"\n]*)>/g);
  return [...new Set([...found].map((match) => match[1] ?? ''))];
}
