/** What a setting says of itself beside its type: its meaning, and how its default differs from the plan's. */
import type { z } from 'zod';
import type { TomlValue } from './toml-value.ts';

export type KeyNotes = {
  /** The default of the plan: `same`, or what it is there; absent for a key that the plan has not. */
  readonly plan?: string;
  /** How the default is shown where its value says little. */
  readonly shown?: string;
  /** What could stand in a file where there is no default: right, and as far as there is such a value it changes nothing. */
  readonly example?: TomlValue;
};

/** A setting with its meaning in a few words, which the README, the manual page and `rch config keys` print. */
export function key<S extends z.ZodType>(schema: S, meaning: string, notes: KeyNotes = {}): S {
  return schema.meta({ description: meaning, ...notes });
}
