/**
 * The options of gcc(1) and clang(1) that take a value, and what the value is. Options not listed take none, or
 * have it joined and it names no file.
 */

/**
 * What a value names. `text`: nothing on disk; `named`: an input, perhaps after `NAME=`; `other`: what only the program that
 * it is handed on to knows, or the beginning of further names.
 */
export type ValueKind =
  | 'text'
  | 'input'
  | 'named'
  | 'output'
  | 'folder'
  | 'library'
  | 'language'
  | 'object'
  | 'linkerWord'
  | 'other'
  | 'never';

/** Options whose value is the next word, or is joined: `-I dir`, `-Idir`. */
export const joinable: ReadonlyMap<string, ValueKind> = new Map([
  ['-o', 'object'],
  ['-x', 'language'],
  ['-I', 'folder'],
  ['-L', 'folder'],
  ['-B', 'folder'],
  ['-F', 'folder'],
  ['-l', 'library'],
  ['-D', 'text'],
  ['-U', 'text'],
  ['-A', 'text'],
  ['-T', 'input'],
  ['-u', 'text'],
  ['-z', 'text'],
  ['-MF', 'output'],
  ['-MJ', 'output'],
  ['-MT', 'text'],
  ['-MQ', 'text'],
  ['-isystem', 'folder'],
  ['-iquote', 'folder'],
  ['-idirafter', 'folder'],
  ['-isysroot', 'folder'],
  ['-iprefix', 'other'],
  ['-iwithprefixbefore', 'text'],
  ['-iwithprefix', 'text'],
  ['-imultilib', 'text'],
  ['-include', 'input'],
  ['-imacros', 'input'],
  ['-iframework', 'folder'],
  ['-cxx-isystem', 'folder'],
]);

/** Options whose value is the next word alone. */
export const separate: ReadonlyMap<string, ValueKind> = new Map([
  ['-Xlinker', 'linkerWord'],
  ['-Xassembler', 'other'],
  ['-Xpreprocessor', 'other'],
  ['-Xclang', 'other'],
  ['-Xarch_host', 'text'],
  ['-mllvm', 'other'],
  ['-aux-info', 'output'],
  ['-dumpbase', 'other'],
  ['-dumpbase-ext', 'text'],
  ['-dumpdir', 'other'],
  ['--param', 'text'],
  ['-wrapper', 'never'],
  ['-target', 'text'],
  ['--target', 'text'],
  ['-arch', 'text'],
  ['-framework', 'text'],
  ['--sysroot', 'folder'],
  ['-resource-dir', 'folder'],
  ['-working-directory', 'never'],
  ['-gen-cdb-fragment-path', 'other'],
  ['-ivfsoverlay', 'never'],
  ['-include-pch', 'input'],
  ['-serialize-diagnostics', 'output'],
  ['--serialize-diagnostics', 'output'],
  ['-Tbss', 'text'],
  ['-Tdata', 'text'],
  ['-Ttext', 'text'],
  ['-e', 'text'],
  ['--entry', 'text'],
  ['-h', 'text'],
  ['-R', 'text'],
  ['-G', 'text'],
  ['--output', 'object'],
  ['--include', 'input'],
  ['--imacros', 'input'],
  ['--include-directory', 'folder'],
  ['--library-directory', 'folder'],
  ['--language', 'language'],
  ['--define-macro', 'text'],
  ['--undefine-macro', 'text'],
  ['--for-linker', 'linkerWord'],
  ['--for-assembler', 'other'],
  ['--config', 'input'],
]);

/** Options with `=value` joined that names something on disk. */
export const equalled: ReadonlyMap<string, ValueKind> = new Map([
  ['--sysroot', 'folder'],
  ['-specs', 'input'],
  ['--specs', 'input'],
  ['-fplugin', 'input'],
  ['-fpass-plugin', 'input'],
  ['-fprofile-dir', 'folder'],
  ['-fprofile-use', 'input'],
  ['-fprofile-instr-use', 'input'],
  ['-fprofile-sample-use', 'input'],
  ['-fauto-profile', 'input'],
  ['-fbranch-probabilities', 'input'],
  ['-fmodule-map-file', 'input'],
  ['-fmodule-file', 'named'],
  ['-fprebuilt-module-path', 'folder'],
  ['-fmodule-mapper', 'never'],
  ['-working-directory', 'never'],
  ['-fmodules-cache-path', 'never'],
  ['-fsanitize-blacklist', 'input'],
  ['-fsanitize-ignorelist', 'input'],
  ['-fsanitize-coverage-allowlist', 'input'],
  ['-fdump-go-spec', 'output'],
  ['-foptimization-record-file', 'output'],
  ['-fcallgraph-info', 'text'],
  ['-fthinlto-index', 'input'],
  ['-flto-cache-path', 'output'],
  ['-fcrash-diagnostics-dir', 'output'],
  ['-gcc-toolchain', 'folder'],
  ['--gcc-toolchain', 'folder'],
  ['--gcc-install-dir', 'folder'],
  ['-iplugindir', 'folder'],
  ['--config', 'input'],
  ['--output', 'object'],
  ['--include-directory', 'folder'],
  ['--library-directory', 'folder'],
  ['--language', 'language'],
  ['-dumpdir', 'output'],
  ['-ftime-trace', 'output'],
  ['-ftime-report', 'text'],
  ['-stdlib++-isystem', 'folder'],
]);

/** Words that only ask: gcc(1) "Overall Options" and "Developer Options", clang's driver. */
export const query =
  /^(--version|--help.*|-help|--target-help|-v?dump(version|fullversion|machine|specs)|-print-.*|--print-.*|-###|-V|-verify-pch|--autocomplete=.*)$/;

/** ld(1) options whose value is a file it reads, or writes. */
export const linkerInput =
  /^--?(version-script|dynamic-list|script|T|c|retain-symbols-file|just-symbols|R|symbol-ordering-file|default-script|dT|undefined-glob-file)$/;
export const linkerOutput = /^--?(Map|out-implib|dependency-file|cref-file|print-map-to)$/;

export const linkerFolder = /^--?(rpath-link|library-path)$/;
/** What is told to the program that is linked, not to the linker. */
export const linkerText = /^--?(rpath|soname|h|dynamic-linker|init|fini)$/;

/** Options with paths that name nothing on disk while a compiler runs, but in what it makes. */
export const onlyTold =
  /prefix-map|^-f[\w-]*(compilation-dir|random-seed|profile-(instr-)?generate)=/;

/** Sources by suffix: gcc(1), "Options Controlling the Kind of Output". */
export const cppSource =
  /\.(cc|cp|cxx|cpp|CPP|c\+\+|C|ii|mm|M|hh|H|hp|hxx|hpp|HPP|h\+\+|tcc|cppm|ixx)$/;
export const source =
  /\.(c|i|m|mi|h|s|S|sx|cc|cp|cxx|cpp|CPP|c\+\+|C|ii|mm|M|mii|hh|H|hp|hxx|hpp|HPP|h\+\+|tcc|cppm|ixx|f|for|ftn|F|FOR|f90|f95|F90|d|ads|adb|go|cu|ll|bc)$/;
