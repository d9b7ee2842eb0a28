/** Files that a linker script names: ld's manual, "Commands Dealing with Files". Pure. */

const include = /\bINCLUDE\s+("[^"]*"|[^\s;{}()]+)/g;
/** With one level of parentheses within: AS_NEEDED. */
const list = /\b(?:INPUT|GROUP|STARTUP|SEARCH_DIR)\s*\(((?:[^()]|\([^()]*\))*)\)/g;

/** As they stand there, without quotes; what `-l` looks for is no name of a file. */
export function scriptNames(script: string): string[] {
  const text = script.replace(/\/\*[^]*?\*\//g, ' ');
  const lists = [...text.matchAll(list)].flatMap((match) => (match[1] ?? '').split(/[\s,()]+/));
  const included = [...text.matchAll(include)].map((match) => match[1] ?? '');
  const names = [...included, ...lists]
    .map((name) => name.replaceAll('"', ''))
    .filter((name) => /^[^-=$]/.test(name) && name !== 'AS_NEEDED');
  return [...new Set(names)];
}
