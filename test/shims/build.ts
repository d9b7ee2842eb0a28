/** Compiles the C programs that tests drive: the launcher as it is shipped and with sanitizers, and small helpers. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

export const top = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const out = join(top, 'build', 'test-shims');

/** `hasty`: gives up a silent link, and then looking for its job, within seconds. */
export type Variant = 'plain' | 'sanitized' | 'hasty';

const common = [
  '-std=gnu11',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-D_GNU_SOURCE',
  '-pthread',
  '-DRCH_VERSION="0.0.0-test"',
];
const flags: Readonly<Record<Variant, readonly string[]>> = {
  plain: ['-O2'],
  hasty: ['-O2', '-DLINK_SILENCE_MS=3000', '-DRESUME_MS=30000', '-DSTALE_ANSWER_MS=0'],
  sanitized: ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
};

/** As scripts/build.mjs links the launcher where musl is installed. */
function shipped(source: string, variant: Variant): readonly [string, ...string[]] {
  if (source !== 'shims/launcher.c' || variant === 'sanitized') return ['cc'];
  if (!existsSync('/usr/bin/musl-gcc')) return ['cc'];
  const triplet = execFileSync('cc', ['-print-multiarch'], { encoding: 'utf8' }).trim();
  const folders = ['/usr/include', `/usr/include/${triplet}`];
  return ['musl-gcc', '-static', ...folders.flatMap((folder) => ['-idirafter', folder])];
}

/** Writes a file in one step, only when its content differs. */
function place(path: string, text: string): void {
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  const beside = `${path}.${process.pid}`;
  writeFileSync(beside, text);
  renameSync(beside, path);
}

/** Generates shims/protocol.h from the message tables as they are now. */
function generateHeader(): string {
  mkdirSync(out, { recursive: true });
  const script = join(out, `protocol-header-${process.pid}.mjs`);
  const header = join(out, `protocol-${process.pid}.h`);
  buildSync({
    entryPoints: [join(top, 'scripts', 'protocol-header.ts')],
    outfile: script,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'warning',
  });
  execFileSync(process.execPath, [script, header]);
  const text = readFileSync(header, 'utf8');
  place(join(top, 'shims', 'protocol.h'), text);
  return text;
}

function sourcesOf(folder: string): string {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[ch]$/.test(entry.name))
    .map((entry) => readFileSync(join(folder, entry.name), 'utf8'))
    .join('\0');
}

let header: string | undefined;
const compiled = new Map<string, string>();

/** Compiles `source` (relative to the repository), or finds what an earlier call made of the same text. */
export function compile(source: string, variant: Variant, extra: readonly string[] = []): string {
  const name = [source, variant, ...extra].join(' ');
  const known = compiled.get(name);
  if (known !== undefined) return known;
  header ??= generateHeader();
  const [compiler, ...linking] = shipped(source, variant);
  const parts = [
    ...common,
    ...linking,
    ...flags[variant],
    ...extra,
    header,
    readFileSync(join(top, source), 'utf8'),
    ...['launcher', 'fs'].map((folder) => sourcesOf(join(top, 'shims', folder))),
    existsSync(join(out, 'echo-cases.h')) ? readFileSync(join(out, 'echo-cases.h'), 'utf8') : '',
  ];
  const key = createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 16);
  const program = join(out, `${source.replaceAll(/[/.]/g, '-')}-${variant}-${key}`);
  compiled.set(name, program);
  if (existsSync(program)) return program;
  const beside = `${program}.${process.pid}`;
  execFileSync(compiler, [
    ...common,
    ...linking,
    ...flags[variant],
    `-I${out}`,
    '-o',
    beside,
    join(top, source),
    ...extra,
  ]);
  renameSync(beside, program);
  return program;
}

/** Places a generated header beside the compiled programs, where `compile` finds it. */
export function placeHeader(name: string, text: string): void {
  mkdirSync(out, { recursive: true });
  place(join(out, name), text);
}
