/** Which environment variables a build turned out to read, from the files it left. Pure. */

/** Kinds of text that name variables. */
export type BuildText = {
  /** `depfile`: rustc's .d; `output`: what a build script printed; `makefile`. */
  readonly kind: 'depfile' | 'output' | 'makefile';
  readonly text: string;
};

const patterns: Readonly<Record<BuildText['kind'], RegExp>> = {
  // rustc: `# env-dep:NAME` or `# env-dep:NAME=value`.
  depfile: /^# env-dep:([^\s=]+)/gm,
  output: /^cargo::?rerun-if-env-changed=([^\s=]+)/gm,
  // `$(NAME)`, `${NAME}`, and the shell's by `$$NAME` and `$${NAME}`.
  makefile: /\$(?:[({]|\$\{?)([A-Za-z_][A-Za-z0-9_]*)/g,
};

/** The kind of a file by its path, or undefined when it names no variables. */
export function buildTextKind(path: string): BuildText['kind'] | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (/\.d$/.test(name)) return 'depfile';
  if (/(^|\/)build\/[^/]+(\/[^/]+)?\/output$/.test(path)) return 'output';
  return /^(GNUmakefile|[Mm]akefile)$|\.(mk|mak)$/.test(name) ? 'makefile' : undefined;
}

/** The names among `withheld` that the texts read, sorted. */
export function envReads(texts: Iterable<BuildText>, withheld: ReadonlySet<string>): string[] {
  const found = new Set<string>();
  for (const { kind, text } of texts) {
    for (const match of text.matchAll(patterns[kind])) {
      const name = match[1];
      if (name !== undefined && withheld.has(name)) found.add(name);
    }
  }
  return [...found].sort();
}
