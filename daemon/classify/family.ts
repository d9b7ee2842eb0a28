/** Which family a tool belongs to, by the name it is called by; versioned and prefixed names included. */
export type Family = 'cargo' | 'rustc' | 'compiler' | 'make' | 'ninja' | 'cmake' | 'meson';

/** `gcc`, `x86_64-linux-gnu-g++-12`, `clang-15`; not `gcc-ar`, `clang-format`, `cpp`. */
const compiler = /^(?:[\w.]+-)*(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|c89|c99)(?:-\d[\d.]*)?$/;

const exact: ReadonlyMap<string, Family> = new Map([
  ['cargo', 'cargo'],
  ['rustc', 'rustc'],
  ['make', 'make'],
  ['gmake', 'make'],
  ['ninja', 'ninja'],
  ['ninja-build', 'ninja'],
  ['samu', 'ninja'],
  ['cmake', 'cmake'],
  ['cmake3', 'cmake'],
  ['meson', 'meson'],
]);

export function familyOf(tool: string): Family | undefined {
  const name = tool.slice(tool.lastIndexOf('/') + 1);
  return exact.get(name) ?? (compiler.test(name) ? 'compiler' : undefined);
}
