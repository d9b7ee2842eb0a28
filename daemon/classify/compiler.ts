/** gcc, clang and their kin: what a call reads and writes, and whether it is more than a question. */
import { probeFile } from '../../src/base/asking.ts';
import {
  cppSource,
  equalled,
  joinable,
  linkerFolder,
  linkerInput,
  linkerOutput,
  linkerText,
  onlyTold,
  query,
  separate,
  source,
  type ValueKind,
} from './compiler-flags.ts';
import { namesDependencies, ownOutputsOf } from './compiler-outputs.ts';
import type { Request } from './request.ts';
import { heavy, light, type CommandKind, type LocalVerdict, type Verdict } from './verdict.ts';

type Call = {
  inputs: string[];
  outputs: string[];
  folders: string[];
  libraries: string[];
  sources: string[];
  responseFiles: string[];
  linkerWords: string[];
  /** Words that no table knows, as far as they may name something on disk. */
  others: string[];
  output: string | undefined;
  /** The last of -c, -S, -E, -M, -fsyntax-only; they stop before the link. */
  mode: 'link' | 'object' | 'assembly' | 'preprocess' | 'syntax';
  language: string | undefined;
  nativeCpu: boolean;
  linker: string | undefined;
  optimised: boolean;
  verbose: boolean;
  dependencies: 'none' | 'only' | 'beside';
  no: LocalVerdict | undefined;
};

function emptyCall(): Call {
  return {
    inputs: [],
    outputs: [],
    folders: [],
    libraries: [],
    sources: [],
    responseFiles: [],
    linkerWords: [],
    others: [],
    output: undefined,
    mode: 'link',
    language: undefined,
    nativeCpu: false,
    linker: undefined,
    optimised: false,
    verbose: false,
    dependencies: 'none',
    no: undefined,
  };
}

function take(call: Call, kind: ValueKind, option: string, value: string): void {
  switch (kind) {
    case 'text':
      return;
    case 'input':
      call.inputs.push(value);
      return;
    case 'named':
      call.inputs.push(value.slice(value.indexOf('=') + 1));
      return;
    case 'output':
      // `-` is standard output.
      if (value !== '-') call.outputs.push(value);
      return;
    case 'object':
      call.output = value;
      return;
    case 'folder':
      // GCC: a leading `=` or $SYSROOT stands for the sysroot.
      if (!/^(=|\$SYSROOT)/.test(value)) call.folders.push(value);
      return;
    case 'library':
      call.libraries.push(value);
      return;
    case 'language':
      call.language = value;
      return;
    case 'linkerWord':
      call.linkerWords.push(value);
      return;
    case 'other':
      call.others.push(value);
      return;
    case 'never':
      call.no ??= heavy(`${option} is not followed elsewhere`);
  }
}

/** The longest joinable option that begins the word. */
function joinedOption(word: string): [string, ValueKind] | undefined {
  for (let length = Math.min(word.length - 1, 18); length >= 2; length -= 1) {
    const kind = joinable.get(word.slice(0, length));
    if (kind !== undefined) return [word.slice(0, length), kind];
  }
  return undefined;
}

function mode(call: Call, word: string): boolean {
  switch (word) {
    case '-c':
      if (call.mode === 'link') call.mode = 'object';
      return true;
    case '-S':
      if (call.mode === 'link' || call.mode === 'object') call.mode = 'assembly';
      return true;
    case '-E':
      call.mode = 'preprocess';
      return true;
    case '-fsyntax-only':
      if (call.mode !== 'preprocess') call.mode = 'syntax';
      return true;
    case '-M':
    case '-MM':
      call.dependencies = 'only';
      return true;
    case '-MD':
    case '-MMD':
      call.dependencies = 'beside';
      return true;
    case '-v':
      call.verbose = true;
      return true;
    default:
      return false;
  }
}

function plainOption(call: Call, word: string): void {
  if (mode(call, word)) return;
  if (query.test(word)) call.no ??= light(`the compiler is only asked (${word})`);
  else if (/^-m(arch|tune|cpu)=native$/.test(word)) call.nativeCpu = true;
  else if (word.startsWith('-fuse-ld=')) call.linker = word.slice('-fuse-ld='.length);
  else if (word.startsWith('--ld-path=')) call.linker = word.slice('--ld-path='.length);
  else if (/^-O([1-9sgz]|fast)?$/.test(word)) call.optimised = true;
  else if (word.startsWith('-Wl,')) call.linkerWords.push(...word.slice(4).split(','));
  else if (onlyTold.test(word)) return;
  else if (/^-W[ap],/.test(word)) auxiliaryWords(call, word);
  else call.others.push(word);
}

/** `-Wp,-MD,FILE` is how old build systems ask for dependencies; `-Wa,@file` and listings name files too. */
function auxiliaryWords(call: Call, word: string): void {
  const parts = word.slice(4).split(',');
  parts.forEach((part, at) => {
    const next = parts[at + 1];
    if (/^-M[TQ]$/.test(parts[at - 1] ?? '')) return;
    if (/^-M(M?D|F)$/.test(part) && next !== undefined) call.outputs.push(next);
    else if (part.startsWith('@')) call.no ??= heavy(`${word} reads arguments from a file`);
    else if (/^-a[a-z]*=/.test(part)) call.outputs.push(part.slice(part.indexOf('=') + 1));
    else if (/^-I./.test(part)) call.folders.push(part.slice(2));
    else call.others.push(part);
  });
}

function word(call: Call, words: readonly string[], at: number): number {
  const text = words[at] ?? '';
  // Which headers it includes, and so which packages it needs, cannot be looked up without taking it.
  if (text === '-')
    call.no ??= light('the compiler reads standard input, which cannot be looked into');
  else if (text.startsWith('@')) call.responseFiles.push(text.slice(1));
  else if (!text.startsWith('-') || text === '') {
    call.inputs.push(text);
    if (source.test(text) || (call.language !== undefined && call.language !== 'none'))
      call.sources.push(text);
  } else return option(call, words, at);
  return at;
}

function option(call: Call, words: readonly string[], at: number): number {
  const text = words[at] ?? '';
  const kind = separate.get(text) ?? joinable.get(text);
  if (kind !== undefined) {
    const next = words[at + 1];
    if (next === undefined) call.no ??= light(`${text} lacks its value`);
    else take(call, kind, text, next);
    return at + 1;
  }
  const equals = text.indexOf('=');
  const joined = equals > 0 ? equalled.get(text.slice(0, equals)) : undefined;
  if (joined !== undefined) take(call, joined, text, text.slice(equals + 1));
  else {
    // -dumpversion must not be read as -d…, nor -isystem as -i…; what is listed whole was found above.
    const found = query.test(text) ? undefined : joinedOption(text);
    if (found !== undefined) take(call, found[1], found[0], text.slice(found[0].length));
    else plainOption(call, text);
  }
  return at;
}

function linkerFiles(call: Call): void {
  const words = call.linkerWords;
  for (let at = 0; at < words.length; at += 1) {
    const text = words[at] ?? '';
    const equals = text.indexOf('=');
    const name = equals > 0 ? text.slice(0, equals) : text;
    const value = (): string => (equals > 0 ? text.slice(equals + 1) : (words[(at += 1)] ?? ''));
    if (linkerInput.test(name)) call.inputs.push(value());
    else if (linkerOutput.test(name)) call.outputs.push(value());
    else if (linkerFolder.test(name)) call.folders.push(...value().split(':'));
    else if (linkerText.test(name)) value();
    else if (/^-T./.test(text) && !/^-T(text|data|bss)/.test(text)) call.inputs.push(text.slice(2));
    else if (/^-L./.test(text)) call.folders.push(text.slice(2));
    else if (/^-l./.test(text)) call.libraries.push(text.slice(2));
    else if (text.startsWith('@')) call.responseFiles.push(text.slice(1));
    else if (/^-plugin$|^--plugin$/.test(name)) call.inputs.push(value());
    else if (/\.(o|a|so|lds?|map|def)$/.test(text) && !text.startsWith('-')) call.inputs.push(text);
    else call.others.push(text);
  }
}

/** Files that gcc and clang write where a variable says so: gcc(1), clang's driver. */
const outputVariables = [
  ...['DEPENDENCIES_OUTPUT', 'SUNPRO_DEPENDENCIES', 'CC_PRINT_OPTIONS_FILE'],
  ...['CC_PRINT_HEADERS_FILE', 'CC_LOG_DIAGNOSTICS_FILE', 'CC_PRINT_PROC_STAT_FILE'],
];

/** Folders and files that the environment adds: gcc(1), "Environment Variables Affecting GCC". */
function fromEnvironment(call: Call, env: ReadonlyMap<string, string>): void {
  const paths =
    'CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH OBJC_INCLUDE_PATH LIBRARY_PATH COMPILER_PATH';
  for (const name of paths.split(' ')) {
    const value = env.get(name);
    // An empty part stands for the working folder, which is in a root anyway.
    if (value !== undefined) call.folders.push(...value.split(':').filter((part) => part !== ''));
  }
  for (const name of outputVariables) {
    const file = env.get(name)?.split(' ')[0];
    if (file !== undefined && file !== '') call.outputs.push(file);
  }
  for (const name of ['GCC_EXEC_PREFIX', 'CCC_OVERRIDE_OPTIONS', 'COLLECT_GCC_OPTIONS'])
    if ((env.get(name) ?? '') !== '') call.no ??= heavy(`${name} is set and changes the compiler`);
}

function defaultOutputs(call: Call, words: readonly string[]): string[] {
  if (call.mode === 'syntax') return [];
  // -MD derives the name of what it writes from -o.
  if (call.output === '/dev/null')
    return call.dependencies === 'beside' && !namesDependencies(words) ? ['/dev/null.d'] : [];
  if (call.output !== undefined) return call.output === '-' ? [] : [call.output];
  return linksOf(call) ? ['a.out'] : [];
}

function linksOf(call: Call): boolean {
  return call.mode === 'link' && call.dependencies !== 'only';
}

function ownOutputs(call: Call, words: readonly string[]): string[] | undefined {
  if (call.responseFiles.length > 0) return undefined;
  const { mode, output, sources, dependencies } = call;
  const own = ownOutputsOf({ mode, output, sources, dependencies, words });
  return own === undefined ? undefined : [...own, ...call.outputs];
}

function kindOf(call: Call): CommandKind {
  if (!linksOf(call)) return 'cc compile';
  return call.sources.length > 0 ? 'cc compile and link' : 'cc link';
}

function noOf(call: Call): LocalVerdict | undefined {
  if (call.no !== undefined) return call.no;
  if (call.inputs.length === 0 && call.responseFiles.length === 0)
    return light(call.verbose ? 'the compiler is only asked (-v)' : 'the compiler has no input');
  return undefined;
}

const probe = new RegExp(
  `(^|/)(${probeFile}|testCCompiler|CMakeC(XX)?CompilerId|sanitycheckc)[^/]*$`,
);
export const PROBE = 'a probe of a configure step is too small to gain';
const scratch = /CMakeFiles\/(CMakeScratch|CMakeTmp)|meson-private\//;

/** A guess at the time here, in ms. */
function estimateOf(call: Call, plusPlus: boolean): number {
  const each = (plusPlus ? 600 : 120) * (call.optimised ? 2 : 1);
  return call.sources.length * each + (linksOf(call) ? 150 : 0);
}

function tooSmallOf(call: Call, cwd: string): string | undefined {
  if (call.mode === 'preprocess') return 'preprocessing alone is too little to gain';
  if (call.dependencies === 'only') return 'listing dependencies is too little to gain';
  const isProbe = (name: string): boolean => probe.test(name) || scratch.test(name);
  const files = call.sources.length > 0 ? call.sources : call.inputs;
  const every = files.length > 0 && files.every(isProbe);
  return every || scratch.test(cwd) ? PROBE : undefined;
}

function languageOf(tool: string, call: Call): 'c' | 'c++' | 'other' {
  if (/\+\+/.test(tool) || call.sources.some((each) => cppSource.test(each))) return 'c++';
  if (call.language !== undefined) return call.language.startsWith('c++') ? 'c++' : 'c';
  return 'c';
}

export function classifyCompiler(request: Request): Verdict {
  const call = emptyCall();
  const words = request.argv.slice(1);
  for (let at = 0; at < words.length; at += 1) at = word(call, words, at);
  linkerFiles(call);
  fromEnvironment(call, request.env);
  if (words.includes('-fmodules') && !words.includes('-fno-implicit-modules'))
    call.no ??= heavy('-fmodules keeps a cache of modules on this machine');
  const no = noOf(call);
  if (no !== undefined) return no;
  const language = languageOf(request.tool, call);
  return {
    kind: 'candidate',
    family: 'compiler',
    command: kindOf(call),
    cores: 1,
    estimateMs: estimateOf(call, language === 'c++'),
    tooSmall: tooSmallOf(call, request.cwd),
    language,
    inputs: call.inputs,
    outputs: [...defaultOutputs(call, words), ...call.outputs],
    own: ownOutputs(call, words),
    folders: call.folders,
    libraries: call.libraries,
    links: linksOf(call),
    nativeCpu: call.nativeCpu,
    linker: call.linker,
    responseFiles: call.responseFiles,
    others: call.others,
  };
}
