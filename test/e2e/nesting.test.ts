/** Tools that call tools: below a build here and below one on a worker, through caches, proxies and build systems. */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Gate } from '../rig/gate.ts';
import { Screen } from '../rig/screen.ts';
import { debianSource } from '../rig/sources.ts';
import { World, type Ended, type HistoryRow } from '../rig/world.ts';
import { cargoProject, cmakeProject, type Files, write } from './projects.ts';
import { words } from './trouble.ts';
import { expectSame, twins, withoutTimes, type TwinOptions } from './twins.ts';

let world: World;
let base: string;
/** The newest record before the command of a test. */
let before: string | undefined;

const there: Files = { RCH_FORCE_REMOTE: '1' };
const tiny = 'int main(void) { return 0; }\n';

function project(name: string, files: Files): string {
  const folder = join(base, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  write(folder, files);
  return folder;
}

/** Runs a command; fails when it does. */
async function run(
  argv: readonly string[],
  folder: string,
  more: { env?: Files; shims?: boolean } = {},
): Promise<Ended> {
  [{ id: before } = { id: undefined }] = await world.history(1);
  const ended = await world.run(argv, {
    cwd: folder,
    shims: more.shims ?? true,
    env: more.env ?? {},
  });
  expect(ended.code, `${argv.join(' ')}: ${words(ended)}`).toBe(0);
  return ended;
}

/** What was asked since the last `run` began, oldest first. */
async function asked(): Promise<string[]> {
  const rows = await world.history(100);
  const at = rows.findIndex(({ id }) => id === before);
  return rows
    .slice(0, at < 0 ? rows.length : at)
    .reverse()
    .map((row: HistoryRow) => `${row.argv[0] ?? ''} ${row.decision}`);
}

/** Every text below a folder that names the shims' folder. */
function shimsIn(folder: string): string[] {
  const shims = join(world.data, 'shims');
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => {
    try {
      return readFileSync(join(folder, name), 'latin1').includes(shims);
    } catch {
      return false;
    }
  });
}

/** Two objects by names, by an absolute path, and by the path of a shim. */
const compilers = (): string => `all: a.o b.o c.o
\t@echo "PATH=$$PATH"
\t@command -v cc; command -v gcc
a.o: x.c
\t$(CC) -c x.c -o $@
b.o: x.c
\t/usr/bin/gcc -c x.c -o $@
c.o: x.c
\t${join(world.data, 'shims', 'gcc')} -c x.c -o $@
`;

const meson: Files = {
  'meson.build': "project('m', 'c')\nexecutable('x', 'x.c')\n",
  'x.c': tiny,
};

/** A crate whose build script compiles C, as the cc crate does. */
const cInRust: Files = {
  'Cargo.toml': '[package]\nname = "c-in-rust"\nversion = "0.1.0"\nedition = "2021"\n',
  'Cargo.lock': 'version = 4\n\n[[package]]\nname = "c-in-rust"\nversion = "0.1.0"\n',
  'src/main.rs':
    'extern "C" { fn answer() -> i32; }\nfn main() { println!("{}", unsafe { answer() }); }\n',
  'answer.c': 'int answer(void) { return 42; }\n',
  'build.rs': `use std::{env, process::Command};
fn run(program: &str, args: &[&str]) {
    assert!(Command::new(program).args(args).status().unwrap().success());
}
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let object = format!("{out}/answer.o");
    run(&env::var("CC").unwrap_or("cc".into()), &["-c", "answer.c", "-o", &object]);
    run("ar", &["crs", &format!("{out}/libanswer.a"), &object]);
    println!("cargo:rustc-link-search=native={out}");
    println!("cargo:rustc-link-lib=static=answer");
    println!("cargo:rerun-if-changed=answer.c");
}
`,
};

describe('a tool below a tool', () => {
  beforeAll(async () => {
    world = await World.create('[[workers]]\nid = "embedded"\ntransport = "embedded"\n');
    base = realpathSync(mkdtempSync(join(tmpdir(), 'rch-nesting-')));
    await world.start();
  }, 300_000);
  afterAll(async () => {
    await world.dispose();
    rmSync(base, { recursive: true, force: true });
  });

  describe('that runs here', () => {
    const here: Files = { RCH_LOCAL_ONLY: '1' };

    it('asks once for a whole make, whatever its recipes call', async () => {
      const folder = project('make-here', { Makefile: compilers(), 'x.c': tiny });
      const ended = await run(['make'], folder, { env: here });
      expect(await asked()).toEqual(['make local']);
      expect(ended.stdout.toString()).not.toContain(`${join(world.data, 'shims')}:`);
      expect(ended.stdout.toString()).toMatch(/^\/.*bin\/cc\n\/.*bin\/gcc$/m);
    });

    it('leaves the real compiler, not the shim, in what CMake and Meson write down', async () => {
      const folder = project('configured', { ...cmakeProject, ...meson });
      await run(['cmake', '-G', 'Ninja', '-B', 'c', '-DCMAKE_EXPORT_COMPILE_COMMANDS=ON'], folder);
      expect(await asked()).toEqual(['cmake local']);
      await run(['ninja', '-C', 'c'], folder, { env: here });
      expect(await asked()).toEqual(['ninja local']);
      await run(['meson', 'setup', 'm'], folder);
      await run(['meson', 'compile', '-C', 'm'], folder, { env: here });
      expect(shimsIn(folder)).toEqual([]);
      const commands = readFileSync(join(folder, 'c', 'compile_commands.json'), 'utf8');
      expect(commands).toMatch(/"command": "\/usr\/bin\/cc /);
    });

    it('leaves the real compiler in the compile_commands.json that bear writes', async () => {
      const folder = project('bear', { Makefile: 'x.o: x.c\n\tgcc -c x.c\n', 'x.c': tiny });
      await run(['bear', '--', 'make'], folder);
      const commands = readFileSync(join(folder, 'compile_commands.json'), 'utf8');
      expect(commands).toContain('"/usr/bin/gcc"');
      expect(commands).not.toContain(world.data);
      rmSync(join(folder, 'x.o'));
      await run(['bear', '--', 'sh', '-c', 'gcc -c x.c'], folder);
      expect(readFileSync(join(folder, 'compile_commands.json'), 'utf8')).toContain('"file"');
      expect(existsSync(join(folder, 'x.o'))).toBe(true);
    });

    it('keeps the jobserver of the make above', async () => {
      const inner = { ...cInRust, Makefile: 'all:\n\t@echo "$(MAKEFLAGS)"\n' };
      const folder = project('jobserver-here', {
        Makefile: 'all:\n\t+@make -C inner\n\t+@cargo build -q --manifest-path inner/Cargo.toml\n',
        ...Object.fromEntries(Object.entries(inner).map(([path, text]) => [`inner/${path}`, text])),
      });
      const ended = await run(['make', '-j2'], folder, { env: here });
      expect(await asked()).toEqual(['make local']);
      expect(ended.stdout.toString()).toMatch(/-j2 --jobserver-auth=\d+,\d+/);
      expect(ended.stderr.toString()).toBe('');
    });

    it('keeps the jobserver of a make that rch did not see', async () => {
      const folder = project('jobserver-unseen', {
        Makefile: 'all:\n\t+@make -C inner\n',
        'inner/Makefile': 'all:\n\t@echo "$(MAKEFLAGS)"\n',
      });
      const ended = await run(['/usr/bin/make', '-j2'], folder, { env: here });
      expect(await asked()).toEqual(['make local']);
      expect(ended.stdout.toString()).toMatch(/-j2 --jobserver-auth=\d+,\d+/);
      expect(ended.stderr.toString()).toBe('');
    });
  });

  describe('that runs on a worker', () => {
    it('meets no shim there, by name, by absolute path or by the path of a shim', async () => {
      const folder = join(base, 'make-there');
      const options: TwinOptions = {
        folder,
        lay: () => {
          project('make-there', { Makefile: compilers(), 'x.c': tiny });
        },
        argv: ['make'],
      };
      const twin = await twins(world, options);
      expectSame(twin, options);
      expect(twin.row).toMatchObject({ worker: 'embedded' });
    });

    it.each([
      ['descriptors', '-j2 --jobserver-auth=3,4', '-j --jobserver-fds=3,4 --jobserver-auth=3,4'],
      ['a FIFO', 'k -j8 --jobserver-auth=fifo:/tmp/GMfifo1', '-j --jobserver-auth=fifo:/tmp/f'],
    ])('gets nothing of a jobserver by %s', async (_, makeflags, cargoflags) => {
      const folder = project('jobserver-there', {
        Makefile:
          'all:\n\t@echo "<$(MAKEFLAGS)> <$$CARGO_MAKEFLAGS>"; $(MAKE) -s inner\ninner:\n\t@true\n',
      });
      const ended = await run(['make', '-s'], folder, {
        env: { ...there, MAKEFLAGS: makeflags, MAKELEVEL: '1', CARGO_MAKEFLAGS: cargoflags },
      });
      expect(await asked()).toEqual(['make remote']);
      expect(ended.stdout.toString()).toMatch(/^<k?s> <>\n$/);
      expect(ended.stderr.toString()).toBe('');
    });

    it('gets nothing of the jobserver of a running make', async () => {
      const folder = project('jobserver-gone', {
        Makefile: 'all:\n\t+@make -C inner\n\t+@cargo build --manifest-path inner/Cargo.toml\n',
        ...Object.fromEntries(
          Object.entries({ ...cInRust, Makefile: 'all:\n\t@echo "<$(MAKEFLAGS)>"\n' }).map(
            ([path, text]) => [`inner/${path}`, text],
          ),
        ),
      });
      const ended = await run(['/usr/bin/make', '-j2', '--no-print-directory'], folder, {
        env: there,
      });
      expect(await asked()).toEqual(['make remote', 'cargo remote']);
      expect(ended.stdout.toString()).toMatch(/^<( ?--no-print-directory)?>$/m);
      expect(ended.stderr.toString()).toMatch(/^ +Compiling .*\n +Finished .*\n$/);
    });

    it('shows the colours and the progress bar of cargo', async () => {
      const files = (port: number): Files => ({
        ...cargoProject,
        'app/build.rs': `use std::io::{BufRead, BufReader};
fn main() {
    let gate = std::net::TcpStream::connect(("127.0.0.1", ${port})).unwrap();
    std::io::Write::write_all(&mut &gate, b"hello\\n").unwrap();
    BufReader::new(gate).read_line(&mut String::new()).unwrap();
    std::fs::write(format!("{}/data.rs", std::env::var("OUT_DIR").unwrap()), "pub const DATA: &str = \\"\\";").unwrap();
  }
`,
      });
      const gate = await Gate.open();
      const folder = join(base, 'progress');
      const build = async (shims: boolean): Promise<string[]> => {
        project('progress', files(gate.port));
        const screen = Screen.open(world, ['cargo', 'build'], { cwd: folder, shims, env: there });
        const tool = await gate.tool();
        await screen.sees('Building\u001b[0m [');
        tool.begin('');
        expect(await screen.end()).toBe(0);
        // How often the bar was drawn and rubbed out is chance; the dim lines are ours.
        const lines = withoutTimes(Buffer.from(screen.text, 'latin1'))
          .replaceAll('\u001b[K', '')
          .split(/\r\n|\r/)
          .filter((line) => !line.includes('Building') && !line.startsWith('\u001b[2m'));
        return [...new Set(lines)].sort();
      };
      try {
        const here = await build(false);
        expect(here.join('\n')).toContain('\u001b[1m\u001b[92m');
        expect(await build(true)).toEqual(here);
        expect(await world.history(1)).toMatchObject([{ decision: 'remote' }]);
      } finally {
        gate.close();
      }
    });

    it('compiles C below cargo', async () => {
      const folder = join(base, 'c-in-rust');
      const options: TwinOptions = {
        folder,
        lay: () => {
          write(folder, cInRust);
        },
        argv: ['cargo', 'build'],
        env: { CARGO_INCREMENTAL: '0' },
      };
      expectSame(await twins(world, options), options);
      expect((await run([join(folder, 'target/debug/c-in-rust')], folder)).stdout.toString()).toBe(
        '42\n',
      );
    });

    it('answers rust-analyzer as cargo here does', async () => {
      const folder = join(base, 'analyzer');
      const options: TwinOptions = {
        folder,
        lay: () => {
          write(folder, { ...cInRust, 'src/main.rs': 'fn main() { let x = 1; }\n' });
        },
        argv: [
          'cargo',
          'check',
          '--workspace',
          '--message-format=json',
          '--all-targets',
          '--keep-going',
        ],
        env: { CARGO_INCREMENTAL: '0' },
      };
      const twin = await twins(world, options);
      expectSame({ ...twin, remote: sorted(twin.remote), local: sorted(twin.local) }, options);
      expect(twin.remote.stdout.toString()).toContain('"reason":"build-script-executed"');
    });

    it('builds through a wrapper of rustc that travels with the project', async () => {
      const folder = join(base, 'wrapped');
      const options: TwinOptions = {
        folder,
        lay: () => {
          write(folder, { ...cInRust, wrapper: '#!/bin/sh\necho "$1" >> calls\nexec "$@"\n' });
        },
        argv: ['cargo', 'build'],
        env: { CARGO_INCREMENTAL: '0', RUSTC_WRAPPER: './wrapper' },
      };
      expectSame(await twins(world, options), options);
    });

    it('is told by env -i what the caller told it, and nothing else', async () => {
      const files: Files = { Makefile: 'all: x.o\n\t@env | grep -v -e ^_= -e ^RCH_ -e ^PATH= | sort\n', 'x.c': tiny };
      const folder = join(base, 'bare');
      const options: TwinOptions = {
        folder,
        lay: () => {
          write(folder, files);
        },
        argv: ['sh', '-c', 'env -i PATH="$PATH" RCH_FORCE_REMOTE=1 make'],
      };
      expectSame(await twins(world, options), options);
    });
  });

  describe('through a cache of compilers', () => {
    it('ccache meets the compiler itself, not a shim that never changes', async () => {
      const folder = project('ccache', {
        'x.c': tiny,
        'bin/gcc': '#!/bin/sh\n# one\nexec /usr/bin/gcc "$@"\n',
      });
      const env = {
        CCACHE_DIR: join(base, 'ccache-store'),
        PATH: [join(world.data, 'shims'), join(folder, 'bin'), world.env['PATH']].join(delimiter),
      };
      const hits = async (): Promise<number> => {
        const stats = await run(['ccache', '--print-stats'], folder, { env, shims: false });
        return Number(
          /^(direct|preprocessed)_cache_hit\s+(\d+)/m.exec(stats.stdout.toString())?.[2],
        );
      };
      await run(['ccache', 'gcc', '-c', 'x.c'], folder, { env });
      expect(await asked()).toEqual([]);
      await run(['ccache', 'gcc', '-c', 'x.c'], folder, { env });
      expect(await hits()).toBe(1);
      // Another compiler of the same name: what the first one made is not its work.
      write(folder, { 'bin/gcc': '#!/bin/sh\n# another\nexec /usr/bin/gcc "$@"\n' });
      await run(['ccache', 'gcc', '-c', 'x.c'], folder, { env });
      expect(await hits()).toBe(1);
    });

    it('keeps a make, a CMake build and a cargo build here that go through one', async () => {
      const env = { ...there, CCACHE_DIR: join(base, 'ccache-store') };
      const folder = project('cached', {
        ...cmakeProject,
        ...cInRust,
        Makefile: 'CC = ccache gcc\nx.o: util.c\n\t$(CC) -c util.c -o x.o\n',
      });
      await run(['make'], folder, { env });
      const [row] = await world.history(1);
      expect(row).toMatchObject({ decision: 'local' });
      expect(row?.reason).toMatch(/ccache keeps its cache or its server on this machine/);
      await run(['cmake', '-G', 'Ninja', '-B', 'b', '-DCMAKE_C_COMPILER_LAUNCHER=ccache'], folder);
      expect(shimsIn(join(folder, 'b'))).toEqual([]);
      await run(['ninja', '-C', 'b'], folder, { env });
      expect((await world.history(1))[0]?.reason).toMatch(/ccache keeps its cache/);
      await run(['cargo', 'build'], folder, {
        env: { ...env, RUSTC_WRAPPER: 'sccache', SCCACHE_DIR: join(base, 'sccache-store') },
      });
      expect((await world.history(1))[0]?.reason).toMatch(/sccache keeps its cache/);
      await run(['sccache', '--stop-server'], folder);
    });
  });

  describe('through others that put themselves first', () => {
    it('goes once round a proxy that looks its tool up, before or behind the shims', async () => {
      const folder = project('proxies', {
        'x.c': tiny,
        // As asdf, mise and direnv do it: the next of the name on PATH after their own folder.
        'proxy/gcc': '#!/bin/bash\necho proxied >&2\nPATH=${PATH#*/proxy:} exec gcc "$@"\n',
      });
      const proxy = join(folder, 'proxy');
      const shims = join(world.data, 'shims');
      const system = world.env['PATH'] ?? '';
      for (const path of [
        [proxy, shims, system],
        [shims, proxy, system],
      ]) {
        const ended = await run(['gcc', '-c', 'x.c'], folder, {
          env: { ...there, PATH: path.join(delimiter) },
        });
        expect(ended.stderr.toString()).toBe('proxied\n');
        expect(existsSync(join(folder, 'x.o'))).toBe(true);
        rmSync(join(folder, 'x.o'));
      }
    });

    it('does not go round for ever with one that was told of the shim by its path', async () => {
      const folder = project('loop', {
        'x.c': tiny,
        'proxy/gcc': `#!/bin/sh\nexec ${join(world.data, 'shims', 'gcc')} "$@"\n`,
      });
      const path = [join(folder, 'proxy'), join(world.data, 'shims'), world.env['PATH']];
      await run(['gcc', '-c', 'x.c'], folder, { env: { PATH: path.join(delimiter) } });
      expect(existsSync(join(folder, 'x.o'))).toBe(true);
    });

    it('runs the real tool under sudo, whose user is another', async () => {
      const folder = project('sudo', { Makefile: 'x.o: x.c\n\tcc -c x.c -o x.o\n', 'x.c': tiny });
      for (const path of [world.root, world.home, base]) chmodSync(path, 0o755);
      chmodSync(folder, 0o777);
      await run(['sudo', '-n', 'make'], folder);
      rmSync(join(folder, 'x.o'));
      await run(
        ['sudo', '-n', '-u', 'nobody', 'env', `PATH=${world.shimEnv()['PATH'] ?? ''}`, 'make'],
        folder,
      );
      expect(existsSync(join(folder, 'x.o'))).toBe(true);
      expect(await asked()).toEqual([]);
    });

    it('stays here in a mount or PID namespace of its own, where paths may mean other files', async () => {
      const folder = project('view', { 'x.c': tiny, Makefile: 'x.o: x.c\n\tcc -c x.c -o x.o\n' });
      for (const how of ['--mount', '--pid']) {
        await run(['unshare', how, '--fork', 'make', '-B'], folder, { env: there });
        expect(await world.history(1)).toMatchObject([
          {
            decision: 'local',
            reason: 'the caller sees other files or processes: a container or chroot',
          },
        ]);
      }
    });
  });

  describe('of a real configuration', () => {
    it('configures zlib through the shims as without them', async () => {
      const folder = join(base, 'zlib');
      const results: string[] = [];
      for (const shims of [false, true]) {
        rmSync(folder, { recursive: true, force: true });
        cpSync(await debianSource('zlib'), folder, { recursive: true, preserveTimestamps: true });
        const ended = await run(['./configure'], folder, { shims });
        const made = ['Makefile', 'zconf.h', 'zlib.pc'].map((name) =>
          readFileSync(join(folder, name), 'utf8'),
        );
        results.push([ended.stdout.toString(), ...made].join('\n'));
      }
      expect(results[1]).toBe(results[0]);
      expect(shimsIn(folder)).toEqual([]);
    });

    it('builds a Python extension by setup.py as without them', async () => {
      const files: Files = {
        'setup.py':
          'from setuptools import setup, Extension\nsetup(name="answer", version="1", py_modules=[], ext_modules=[Extension("answer", ["answer.c"])])\n',
        'answer.c': `#include <Python.h>
static PyObject *get(PyObject *self, PyObject *args) { (void)self; (void)args; return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"get", get, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "answer", "", -1, methods, 0, 0, 0, 0};
PyMODINIT_FUNC PyInit_answer(void) { return PyModule_Create(&module); }
`,
      };
      const objects: string[] = [];
      for (const shims of [false, true]) {
        const folder = project('python', files);
        await run(['/usr/bin/python3', 'setup.py', '-q', 'build_ext', '--inplace'], folder, {
          shims,
          env: { ...there, CC: 'gcc', LDSHARED: 'gcc -shared' },
        });
        const said = await run(['/usr/bin/python3', '-c', 'import answer; print(answer.get())'], folder);
        expect(said.stdout.toString()).toBe('42\n');
        const library = readdirSync(folder).find((name) => name.endsWith('.so')) ?? '';
        objects.push(execFileSync('sha256sum', [join(folder, library)], { encoding: 'utf8' }));
      }
      expect(objects[1]).toBe(objects[0]);
      const rows = await world.history(2);
      expect(rows.map(({ decision }) => decision)).toEqual(['remote', 'remote']);
    });
  });
});

/** Lines of JSON in the order of their text: units end in any order. */
function sorted(ended: Ended): Ended {
  const lines = (bytes: Buffer): Buffer =>
    Buffer.from(bytes.toString('latin1').split('\n').sort().join('\n'), 'latin1');
  return { ...ended, stdout: lines(ended.stdout), stderr: lines(ended.stderr) };
}
