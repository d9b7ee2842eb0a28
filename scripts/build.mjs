// Builds everything into dist/lib: the native programs, the bundles, and the native parts of the packages.
// The agent (rch-wkr.mjs with rch-run, rch-fs and native/) is uploaded to workers from there.
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const top = dirname(dirname(fileURLToPath(import.meta.url)));
const lib = join(top, 'dist', 'lib');
const require = createRequire(import.meta.url);
const { version } = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8'));

rmSync(lib, { recursive: true, force: true });
mkdirSync(join(lib, 'native'), { recursive: true });

// The C header comes from the message tables.
await build({
  entryPoints: [join(top, 'scripts', 'protocol-header.ts')],
  outfile: join(top, 'build', 'protocol-header.mjs'),
  bundle: true,
  platform: 'node',
  format: 'esm',
  logLevel: 'warning',
});
execFileSync(process.execPath, [
  join(top, 'build', 'protocol-header.mjs'),
  join(top, 'shims', 'protocol.h'),
]);

const compiler = process.env.CC ?? 'cc';
const flags = [
  '-std=gnu11',
  '-O2',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-D_GNU_SOURCE',
  '-pthread',
  `-DRCH_VERSION="${version}"`,
];
/** The folder of a Debian multiarch's headers, where there is one. */
function headers() {
  const folders = ['/usr/include'];
  try {
    const triplet = execFileSync(compiler, ['-print-multiarch'], { encoding: 'utf8' }).trim();
    if (triplet !== '') folders.push(`/usr/include/${triplet}`);
  } catch {
    // A compiler that does not know of it has its headers in the first.
  }
  return folders.flatMap((folder) => ['-idirafter', folder]);
}

/**
 * Static where libc.a is there: starts faster, and runs on a worker whatever its libc. The launcher starts with every
 * compiler call: by musl it takes 0.1 ms, where glibc first asks the processor what it can do, which in a virtual
 * machine costs 0.7 ms. musl has no kernel headers of its own.
 */
const ways = (name) => [
  ...(name === 'rch-shim' ? [['musl-gcc', ['-static', ...headers()], 'ignore']] : []),
  [compiler, ['-static'], 'ignore'],
  [compiler, [], 'inherit'],
];
for (const [name, source] of [
  ['rch-shim', 'launcher.c'],
  ['rch-run', 'run.c'],
  ['rch-fs', 'fs.c'],
]) {
  const rest = ['-o', join(lib, name), join(top, 'shims', source)];
  const done = ways(name).some(([program, extra, stdio], at, all) => {
    try {
      execFileSync(program, [...flags, ...extra, ...rest], { stdio });
      return true;
    } catch (thrown) {
      if (at === all.length - 1) throw thrown;
      return false;
    }
  });
  if (!done) throw new Error(`${name} was not built`);
}

// A part that Node loads; what it calls is resolved in the Node that does.
execFileSync(
  compiler,
  [
    ...flags,
    '-shared',
    '-fPIC',
    '-o',
    join(lib, 'native', 'trim.node'),
    join(top, 'shims', 'trim.c'),
  ],
  { stdio: 'inherit' },
);

// The names that `rch shim install` links without being asked.
copyFileSync(join(top, 'shims', 'tools.list'), join(lib, 'tools.list'));

// The dashboard for Grafana, which the README names.
copyFileSync(join(top, 'daemon', 'front', 'grafana.json'), join(lib, 'grafana.json'));

// What `rch self-test` runs.
cpSync(join(top, 'src', 'cli', 'self-test', 'cases'), join(lib, 'cases'), { recursive: true });

/** The native parts of the packages, by the module that loads each. */
const blake = readFileSync(require.resolve('@napi-rs/blake-hash/package.json'), 'utf8');
const blakePackage = Object.keys(JSON.parse(blake).optionalDependencies)
  .map((name) => {
    try {
      return require.resolve(name);
    } catch {
      return undefined;
    }
  })
  .find((path) => path !== undefined);
const parts = [
  { name: 'blake.node', file: blakePackage, loadedBy: /@napi-rs\/blake-hash\/index\.js$/ },
  {
    name: 'zstd.node',
    file: join(
      dirname(require.resolve('zstd-napi/package.json')),
      'build',
      'Release',
      'binding.node',
    ),
    loadedBy: /zstd-napi\/binding\.js$/,
  },
];
for (const part of parts) copyFileSync(part.file, join(lib, 'native', part.name));
const sshcrypto = join(
  dirname(require.resolve('ssh2/package.json')),
  'lib/protocol/crypto/build/Release/sshcrypto.node',
);
if (existsSync(sshcrypto)) copyFileSync(sshcrypto, join(lib, 'native', 'sshcrypto.node'));

const nativeParts = {
  name: 'native-parts',
  setup(builder) {
    for (const part of parts) {
      builder.onLoad({ filter: part.loadedBy }, () => ({
        contents: `module.exports = require('./native/${part.name}');`,
        loader: 'js',
      }));
    }
    builder.onResolve({ filter: /sshcrypto\.node$/ }, () => ({
      path: './native/sshcrypto.node',
      external: true,
    }));
    builder.onResolve({ filter: /\.node$/ }, (args) => ({ path: args.path, external: true }));
    // cosmiconfig's loader of TypeScript files, which we never give it.
    builder.onResolve({ filter: /^typescript$/ }, (args) => ({ path: args.path, external: true }));
    // Poly1305 in WebAssembly, which ssh2 sets up at once and uses only where its native part cannot be loaded.
    builder.onLoad({ filter: /ssh2\/lib\/protocol\/crypto\/poly1305\.js$/ }, ({ path }) => ({
      contents: `
let native = true;
try { require('./native/sshcrypto.node'); } catch { native = false; }
if (native) module.exports = async () => ({ _malloc: () => 0, cwrap: () => undefined });
else {
${readFileSync(path, 'utf8')}
}`,
      loader: 'js',
    }));
    // zod's messages in fifty languages, which are a third of a bundle and part of each process.
    builder.onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
      loader: 'js',
    }));
    // Only a hint for ssh2's order of ciphers, and optional there.
    builder.onResolve({ filter: /^cpu-features$/ }, (args) => ({
      path: args.path,
      external: true,
    }));
  },
};

const banner = [
  "import { createRequire as rchRequire } from 'node:module';",
  "import { fileURLToPath as rchPath } from 'node:url';",
  "import { dirname as rchDirname } from 'node:path';",
  'const require = rchRequire(import.meta.url);',
  'const __filename = rchPath(import.meta.url);',
  'const __dirname = rchDirname(__filename);',
].join('\n');

for (const [name, entry] of [
  ['rch.mjs', 'src/cli/main.ts'],
  ['rchd.mjs', 'daemon/main.ts'],
  ['link.mjs', 'daemon/link/main.ts'],
  ['rch-wkr.mjs', 'src/agent/main.ts'],
  ['dashboard.mjs', 'daemon/dashboard/main.ts'],
]) {
  if (!existsSync(join(top, entry))) continue;
  await build({
    entryPoints: [join(top, entry)],
    outfile: join(lib, name),
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    legalComments: 'none',
    // Names stay, for traces in logs.
    minifyWhitespace: true,
    minifySyntax: true,
    banner: { js: banner },
    plugins: [nativeParts],
    define: { 'process.env.RCH_BUILD_VERSION': JSON.stringify(version) },
    logLevel: 'warning',
  });
}

// The web page is one file: it asks for nothing beside itself.
const page = join(top, 'src', 'page');
const { outputFiles } = await build({
  entryPoints: [join(page, 'main.ts')],
  bundle: true,
  platform: 'browser',
  target: 'es2022',
  format: 'iife',
  legalComments: 'none',
  minify: true,
  write: false,
  plugins: [nativeParts],
  logLevel: 'warning',
});
const pieces = {
  style: readFileSync(join(page, 'page.css'), 'utf8'),
  script: outputFiles[0].text,
};
writeFileSync(
  join(lib, 'dashboard.html'),
  readFileSync(join(page, 'page.html'), 'utf8').replace(
    /<\/(style|script)>/g,
    (end, name) => pieces[name] + end,
  ),
);
