/** Walks a schema to the keys it knows at a path, for suggestions. */
import { z } from 'zod';
import { snakeOf, type KnownKeys } from './problems.ts';

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
  return undefined;
}

/** The keys of `schema` by path, in the file's spelling. */
export function knownKeys(schema: z.core.$ZodType): KnownKeys {
  return (path) => {
    let at: z.core.$ZodType | undefined = schema;
    for (const part of path) at = at === undefined ? undefined : inner(at, part);
    const here = at === undefined ? undefined : bare(at);
    return here instanceof z.ZodObject ? Object.keys(here.shape).map(snakeOf) : [];
  };
}
