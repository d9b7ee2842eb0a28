/** The commands that may run elsewhere, as history, `rch why` and the configuration name them. */
export const commandKinds = [
  'cargo build',
  'cargo check',
  'cargo clippy',
  'cargo test',
  'cargo bench',
  'cargo doc',
  'cargo rustc',
  'cargo rustdoc',
  'cargo nextest',
  'cargo run',
  'rustc',
  'cc compile',
  'cc link',
  'cc compile and link',
  'make',
  'ninja',
  'cmake build',
  'meson compile',
] as const;

export type CommandKind = (typeof commandKinds)[number];

/** A kind as a key of the configuration, which writes it in snake_case: `cargo build` is `cargo_build` in a file. */
export function kindKey(kind: CommandKind): string {
  return kind.replace(/ ([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
