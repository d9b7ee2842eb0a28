/** Walks a schema: the keys it knows at a path, for suggestions, and every setting with what it says of itself. */
import { z } from 'zod';
import { snakeOf, type KnownKeys } from './problems.ts';
import type { TomlValue } from './toml-value.ts';

/** The schema under defaults, optionals and refinements. */
function bare(schema: z.core.$ZodType): z.core.$ZodType {
  if (
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional
  )
    return bare(schema.unwrap());
  return schema;
}

function inner(schema: z.core.$ZodType, part: PropertyKey): z.core.$ZodType | undefined {
  const here = bare(schema);
  if (here instanceof z.ZodObject) {
    const shape = here.shape as Readonly<Record<PropertyKey, z.core.$ZodType | undefined>>;
    return shape[part];
  }
  if (here instanceof z.ZodArray) return here.element;
  if (here instanceof z.ZodRecord) return here.valueType;
  return undefined;
}

/** The schema at `path`; undefined when it knows no such key. */
export function schemaAt(
  schema: z.core.$ZodType,
  path: readonly PropertyKey[],
): z.core.$ZodType | undefined {
  let at: z.core.$ZodType | undefined = schema;
  for (const part of path) at = at === undefined ? undefined : inner(at, part);
  return at;
}

/** The keys of `schema` by path, in the file's spelling. */
export function knownKeys(schema: z.core.$ZodType): KnownKeys {
  return (path) => {
    const at = schemaAt(schema, path);
    const here = at === undefined ? undefined : bare(at);
    return here instanceof z.ZodObject ? Object.keys(here.shape).map(snakeOf) : [];
  };
}

/** The kind of value a setting takes, as the command line has to read it. */
export type ValueKind = 'boolean' | 'number' | 'list' | 'table' | 'text';

export type Setting = {
  /** In the file's spelling, dotted. */
  readonly name: string;
  /** The same as the program has it. */
  readonly path: readonly string[];
  readonly kind: ValueKind;
  /** Undefined where there is none. */
  readonly initial: unknown;
  readonly meaning: string;
  /** src/config/key.ts */
  readonly plan: string | undefined;
  readonly shown: string | undefined;
  /** src/config/key.ts */
  readonly example: TomlValue | undefined;
};

function kindOf(schema: z.core.$ZodType): ValueKind {
  const here = bare(schema);
  if (here instanceof z.ZodBoolean) return 'boolean';
  if (here instanceof z.ZodNumber) return 'number';
  if (here instanceof z.ZodArray) return 'list';
  return here instanceof z.ZodRecord ? 'table' : 'text';
}

function initialOf(schema: z.core.$ZodType): unknown {
  return schema instanceof z.ZodDefault ? schema.parse(undefined) : undefined;
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined;

/** The same in an order in which each section comes once. */
export function bySection<T>(all: readonly T[], nameOf: (each: T) => string): T[] {
  const sections = new Map<string, T[]>();
  for (const each of all) {
    const name = nameOf(each);
    const section = name.slice(0, Math.max(0, name.lastIndexOf('.')));
    sections.set(section, [...(sections.get(section) ?? []), each]);
  }
  return [...sections.values()].flat();
}

/** Every setting below `schema`, in order. */
export function settingsIn(schema: z.core.$ZodType, path: readonly string[] = []): Setting[] {
  const here = bare(schema);
  if (here instanceof z.ZodObject)
    return Object.entries(here.shape).flatMap(([name, each]) =>
      settingsIn(each as z.core.$ZodType, [...path, name]),
    );
  const notes: Readonly<Record<string, unknown>> = z.globalRegistry.get(schema) ?? {};
  return [
    {
      name: path.map(snakeOf).join('.'),
      path,
      kind: kindOf(schema),
      initial: initialOf(schema),
      meaning: textOf(notes['description']) ?? '',
      plan: textOf(notes['plan']),
      shown: textOf(notes['shown']),
      example: notes['example'] as TomlValue | undefined,
    },
  ];
}
