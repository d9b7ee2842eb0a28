/** Which variables of the environment build files and scripts read. Pure. */
import type { Needs } from './needs.ts';

/** Stands in an expanded text where a makefile has a variable of the environment that no worker is given. */
export function unknownValue(name: string): string {
  return `\x01${name}\x01`;
}

/** A value that is not given; a variable as a shell has it (`$$N` of a recipe is `$N` by now), or what it calls. */
const inShell =
  /\x01(\w+)\x01|(?:\$ENV\{["']?|\$\{?|printenv\s+|(?:ENVIRON|environ|environ\.get|getenv)[[(]\s*\\?["'])([A-Za-z_]\w*)/g;

/** Adds the variables that a shell text, or an expanded line of a makefile, reads. */
export function shellVariables(text: string, needs: Needs): void {
  for (const [, unknown, name] of text.matchAll(inShell))
    needs.variables.add(unknown ?? name ?? '');
}

/** ninja gives `$$N` to the shell as `$N`; its own variables are `$n`. */
const inNinja = /\$\$\{?([A-Za-z_]\w*)/g;

export function ninjaVariables(text: string, needs: Needs): void {
  for (const [, name = ''] of text.matchAll(inNinja)) needs.variables.add(name);
}

/** `$N`, `${N…}`, `$ENV{N}`, `environ["N"]`, `getenv('N')`, `printenv N`: enough for shells, Python, Perl, awk, Ruby and CMake. */
const inScript = /(?:\$\{?|["'{]|printenv\s+)([A-Za-z_]\w*)/g;

/** The names among `wanted` that a script in any language reads. */
export function scriptVariables(text: string, wanted: ReadonlySet<string>): string[] {
  if (wanted.size === 0) return [];
  const names = [...text.matchAll(inScript)].map((match) => match[1] ?? '');
  return names.filter((name) => wanted.has(name));
}

/** `env::var("N")`, `env!("N")`, `option_env!("N")`, and what cargo is told of them. */
const inBuildScript =
  /(?:\bvar(?:_os)?|\benv!)\s*\(\s*"([A-Za-z_]\w*)"|\boption_env!\s*\(\s*"([A-Za-z_]\w*)"|rerun-if-env-changed=([A-Za-z_]\w*)/g;

/** The variables that a build script reads. */
export function rustVariables(text: string): string[] {
  return [...text.matchAll(inBuildScript)].map(
    ([, read, optional, watched]) => read ?? optional ?? watched ?? '',
  );
}
