/** What a C or C++ file includes, under which conditions, and what it defines. Pure; no macro is expanded. */

import { outwardHeaders, outwardLiterals } from './outward.ts';

export type Include = {
  readonly name: string;
  readonly quoted: boolean;
  /** One list for each enclosing condition: some name of each must be defined. */
  readonly guards: readonly (readonly string[])[];
};

export type SourceFacts = {
  readonly includes: readonly Include[];
  readonly defines: readonly string[];
  /** Paths with `..`, as they stand between quotes. */
  readonly outward: readonly string[];
  /** The same between angle brackets. */
  readonly angled: readonly string[];
};

/** Names that only compilers for other systems define. */
const foreign =
  /^(_?_?WIN(32|64|CE)(_WCE|__)?|_MSC_VER|MSDOS|__DJGPP__|__CYGWIN__|__MINGW\w*|__APPLE__|__MACH__|MACOS\w*|TARGET_OS_\w+|__(Free|Net|Open)BSD__|__DragonFly__|__sun|sun|__SVR4|_AIX|__hpux|__sgi|__VMS|VMS|__ANDROID__|__HAIKU__|__BEOS__|__QNX\w*|__EMSCRIPTEN__|__wasm\w*|__OS2__|OS2|AMIGA|__MVS__|__BORLANDC__|__WATCOMC__|__SYMBIAN32__|_XBOX\w*|__OBJC__|__NEWLIB__|ESP_PLATFORM|ARDUINO)$/;

/** Names that the compiler or libc defines here. */
export function predefined(name: string): boolean {
  return /^_/.test(name) && !foreign.test(name);
}

/** What a condition asks for by `__has_include`: whether it is there changes what is compiled. */
const hasInclude = /__has_include(?:_next)?\s*\(\s*(?:<([^>]+)>|"([^"]+)")\s*\)/g;

/** The names of which one must be defined for the condition to hold; empty when it may hold anyway. */
function guardOf(directive: string, expression: string): readonly string[] {
  if (directive === 'ifndef') return [];
  // A comparison may hold for a name that is not defined, which counts as 0.
  if (/[!<>=]/.test(expression)) return [];
  const names = expression
    .replace(/__has_include\w*\s*\([^)]*\)|\bdefined\b|\b\d\w*\b/g, ' ')
    .match(/[A-Za-z_]\w*/g);
  // `#if 0` never holds; `#if 1` and what we cannot read may.
  if (names === null) return /^\s*0\s*$/.test(expression) ? ['0'] : [];
  return [...new Set(names)];
}

const directive =
  /^[ \t]*#[ \t]*(include|include_next|import|define|if|ifdef|ifndef|elif|elifdef|else|endif)\b(.*)$/gm;

function includeOf(name: string, quoted: boolean, stack: Include['guards']): Include {
  return { name, quoted, guards: stack.filter((guard) => guard.length > 0) };
}

export function parseSource(text: string): SourceFacts {
  const includes: Include[] = [];
  const defines: string[] = [];
  const stack: (readonly string[])[] = [];
  const code = text.replace(/\\\r?\n/g, ' ').replace(/\/\*[^]*?\*\//g, ' ');
  for (const [, kind = '', tail = ''] of code.matchAll(directive)) {
    const rest = tail.replace(/\/\/.*$/, '').trim();
    if (kind === 'elif') stack.pop();
    if (kind === 'if' || kind === 'elif')
      for (const [, system, own] of rest.matchAll(hasInclude))
        includes.push(includeOf(system ?? own ?? '', own !== undefined, stack));
    switch (kind) {
      case 'if':
      case 'ifdef':
      case 'ifndef':
        stack.push(guardOf(kind, rest));
        break;
      case 'elif':
        stack.push(guardOf(kind, rest));
        break;
      case 'elifdef':
        stack.pop();
        stack.push(guardOf(kind, rest));
        break;
      case 'else':
        stack.pop();
        stack.push([]);
        break;
      case 'endif':
        stack.pop();
        break;
      case 'define': {
        const name = /^[A-Za-z_]\w*/.exec(rest)?.[0];
        if (name !== undefined) defines.push(name);
        break;
      }
      default: {
        const match = /^(?:<([^>]+)>|"([^"]+)")/.exec(rest);
        const name = match?.[1] ?? match?.[2];
        if (name !== undefined) includes.push(includeOf(name, match?.[2] !== undefined, stack));
      }
    }
  }
  return { includes, defines, outward: outwardLiterals(code), angled: outwardHeaders(code) };
}

/** Whether the conditions around an include may hold where these names are defined. */
export function mayHold(include: Include, defined: ReadonlySet<string>): boolean {
  return include.guards.every((names) =>
    names.some((name) => defined.has(name) || predefined(name)),
  );
}
