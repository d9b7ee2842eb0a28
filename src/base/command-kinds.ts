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

/**
 * How sure it is that a command of this kind only builds, before its words are looked at: plan 5.3. `cargo run` is as
 * sure as the rest, since the program itself is run here.
 */
export const usualConfidence: Readonly<Record<CommandKind, number>> = {
  'cargo build': 0.95,
  'cargo check': 0.95,
  'cargo clippy': 0.95,
  'cargo test': 0.95,
  'cargo bench': 0.95,
  'cargo doc': 0.95,
  'cargo rustc': 0.95,
  'cargo rustdoc': 0.95,
  'cargo nextest': 0.95,
  'cargo run': 0.9,
  rustc: 0.9,
  'cc compile': 0.9,
  'cc link': 0.9,
  'cc compile and link': 0.9,
  make: 0.85,
  ninja: 0.9,
  'cmake build': 0.9,
  'meson compile': 0.9,
};
