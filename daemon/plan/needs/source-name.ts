/** Which files of a project a C or C++ build may read, by name alone. */

const source =
  /\.(c|h|cc|cp|cxx|cpp|c\+\+|C|hh|H|hpp|hxx|h\+\+|inl|inc|ipp|tcc|tpp|m|mm|S|sx|cu|y|l|yy|ll|def)$/;
const skipped = new Set(['.git', '.hg', '.jj', '.rch', 'node_modules']);

export function isSourceName(name: string): boolean {
  return source.test(name);
}

/** Folders that hold no sources of the project. */
export function isSkippedFolder(name: string): boolean {
  return skipped.has(name);
}

/** The same for a path below the project's root. */
export function isSourcePath(path: string): boolean {
  return source.test(path) && !path.split('/').some(isSkippedFolder);
}
