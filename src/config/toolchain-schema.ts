/** What toolchain.toml may hold: the toolchains that `rch workers sync` brings to workers, where they are not simply those used here. */
import { join } from 'node:path';
import { z } from 'zod';
import type { Layout } from '../base/layout.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { key } from './key.ts';
import { readLayer } from './layers.ts';
import { describe, type Problem } from './problems.ts';

const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'letters, digits, "_", "." and "-"');
const major = z.string().regex(/^\d{1,3}$/, 'the first number of a version, in quotes');

export const toolchainShape = z.strictObject({
  rust: z
    .strictObject({
      channel: key(
        name.optional(),
        "rustup's name of the Rust toolchain: `stable`, `nightly`, `1.95.0`",
        { plan: '`nightly`', shown: 'the one used in the current folder' },
      ),
      date: key(
        z
          .string()
          .regex(/^\d{4}-\d{2}-\d{2}$/, 'a day, as in "2026-01-15"')
          .optional(),
        'the day of that channel',
        { plan: 'an example', shown: 'none' },
      ),
      components: key(z.array(name).default([]), 'components that it must have', {
        plan: 'examples',
      }),
    })
    .refine(({ channel, date }) => date === undefined || channel !== undefined, {
      path: ['date'],
      message: 'a date needs a channel',
    })
    .prefault({}),
  cpp: z
    .strictObject({
      gccVersion: key(
        major.optional(),
        'that version of GCC is on workers too, as `gcc-N` and `g++-N`, as it is here',
        { plan: '`14`', shown: 'none' },
      ),
      clangVersion: key(major.optional(), 'the same for Clang, as `clang-N`', {
        plan: '`19`',
        shown: 'none',
      }),
    })
    .prefault({}),
  caching: z
    .strictObject({
      rustcWrapper: key(
        name.optional(),
        'a caching wrapper that workers have too; a build of this machine that goes through it runs here',
        { plan: '`sccache`', shown: 'none' },
      ),
      ccWrapper: key(name.optional(), 'the same for C and C++', {
        plan: '`ccache`',
        shown: 'none',
      }),
    })
    .prefault({}),
});
export type ToolchainFile = z.infer<typeof toolchainShape>;

export const toolchainFile = (layout: Layout): string => join(layout.config, 'toolchain.toml');

/** What is wrong in the file; nothing where there is none. */
export function toolchainProblems(layout: Layout): readonly Problem[] {
  return readLayer(toolchainFile(layout), toolchainShape).problems;
}

/** The file, or what holds without one. */
export function loadToolchain(layout: Layout): Result<ToolchainFile> {
  const { value, problems } = readLayer(toolchainFile(layout), toolchainShape);
  if (problems.length > 0)
    return fail(problems.map(describe).join('\n'), `mend ${toolchainFile(layout)}`);
  return ok(value ?? toolchainShape.parse({}));
}
