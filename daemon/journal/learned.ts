/**
 * What runs have taught: kinds of commands that stay here in a project, with the reason. Kept in learned.json in
 * the state folder, written anew at each change.
 */
import { z } from 'zod';
import type { Complain } from './history.ts';
import { readState, writeState } from './state-file.ts';

/** `project` is latin1. `kind` is a CommandKind. */
const rule = z.object({
  project: z.string(),
  kind: z.string(),
  reason: z.string(),
  /** ISO 8601 */
  since: z.string(),
});
export type LearnedRule = z.infer<typeof rule>;

const keyOf = (project: string, kind: string): string => `${project}\0${kind}`;

function within(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer.endsWith('/') ? outer : `${outer}/`);
}

export class Learned {
  readonly #path: string;
  readonly #complain: Complain;
  readonly #rules = new Map<string, LearnedRule>();

  private constructor(path: string, complain: Complain) {
    this.#path = path;
    this.#complain = complain;
  }

  static open(path: string, complain: Complain): Learned {
    const learned = new Learned(path, complain);
    const rules = readState(path, z.array(rule), complain) ?? [];
    for (const each of rules) learned.#rules.set(keyOf(each.project, each.kind), each);
    return learned;
  }

  /** Why `kind` stays here in `project`, or undefined when nothing was learned. */
  reason(project: string, kind: string): string | undefined {
    return this.#rules.get(keyOf(project, kind))?.reason;
  }

  learn(project: string, kind: string, reason: string): void {
    if (this.#rules.has(keyOf(project, kind))) return;
    const since = new Date().toISOString();
    this.#rules.set(keyOf(project, kind), { project, kind, reason, since });
    this.#save();
  }

  /** Forgets what was learned for projects at, above or below `folder` (latin1); without it everything. Returns how many rules. */
  forget(folder: string | undefined): number {
    const gone = [...this.#rules].filter(
      ([, each]) =>
        folder === undefined || within(folder, each.project) || within(each.project, folder),
    );
    for (const [key] of gone) this.#rules.delete(key);
    if (gone.length > 0) this.#save();
    return gone.length;
  }

  #save(): void {
    writeState(this.#path, [...this.#rules.values()], this.#complain);
  }
}
