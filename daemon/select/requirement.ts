/** What a worker must have, beyond the roots that are brought to it, before a command may run there. */
export type Requirement =
  /** The same `uname -m`: always. */
  | { readonly kind: 'arch' }
  /** The same libc, version included. */
  | { readonly kind: 'libc' }
  /** The same CPU model and flags; `why` names the flag that asks for it. */
  | { readonly kind: 'cpu'; readonly why: string }
  /** At least the instructions that programs may use here; `why` names the flag that asks for some of them. */
  | { readonly kind: 'instructions'; readonly why: string }
  /** A tool by name, found at `path` here: there it has the same path, version and target. */
  | { readonly kind: 'tool'; readonly name: string; readonly path: string; readonly why: string }
  /**
   * A package in the same version. `series`: the first two numbers of the version decide
   * (linux-libc-dev and its kin: headers of the kernel's user interface, which is frozen within a stable series, and whose
   * last number moves every other week).
   */
  | {
      readonly kind: 'package';
      readonly name: string;
      readonly exact: 'version' | 'series';
      readonly why: string;
    }
  /** What is at none of these paths here must be at none of them there. `name`: what was looked for. */
  | {
      readonly kind: 'absent';
      readonly name: string;
      readonly paths: readonly string[];
      readonly why: string;
    }
  /** The program at `path`, a symlink here that distributions let be turned (awk, sh), leads `to` the same there. */
  | { readonly kind: 'leads'; readonly path: string; readonly to: string; readonly why: string }
  /** Nothing in /usr/local there hides a package's header or library, unless it does so here. */
  | { readonly kind: 'unshadowed'; readonly why: string };
