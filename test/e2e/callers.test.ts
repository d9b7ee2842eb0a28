/** Compilers called through caches, proxies, other users and namespaces, and by what configures and builds itself. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { debianSource } from '../rig/sources.ts';
import { cInRust, Nest, there, tinyC } from './nest.ts';
import { cmakeProject, type Files, write } from './projects.ts';

let nest: Nest;

/** Whether this account may do it here. */
function may(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}
const mayBeRoot = may('sudo', '-n', 'true');
const namespaces = ['--mount', '--pid'];

describe('a compiler called by others', () => {
  beforeAll(async () => {
    nest = await Nest.make();
  });
  afterAll(async () => {
    await nest.leave();
  });

  describe('through a cache of compilers', () => {
    it('ccache meets the compiler itself, not a shim that never changes', async () => {
      const folder = nest.project('ccache', {
        'x.c': tinyC,
        'bin/gcc': '#!/bin/sh\n# one\nexec /usr/bin/gcc "$@"\n',
      });
      const env = {
        CCACHE_DIR: join(nest.base, 'ccache-store'),
        PATH: [nest.shims, join(folder, 'bin'), nest.world.env['PATH']].join(delimiter),
      };
      const hits = async (): Promise<number> => {
        const stats = await nest.run(['ccache', '--print-stats'], folder, { env, shims: false });
        return Number(
          /^(direct|preprocessed)_cache_hit\s+(\d+)/m.exec(stats.stdout.toString())?.[2],
        );
      };
      await nest.run(['ccache', 'gcc', '-c', 'x.c'], folder, { env });
      expect(await nest.asked()).toEqual([]);
      await nest.run(['ccache', 'gcc', '-c', 'x.c'], folder, { env });
      expect(await hits()).toBe(1);
      // Another compiler of the same name: what the first one made is not its work.
      write(folder, { 'bin/gcc': '#!/bin/sh\n# another\nexec /usr/bin/gcc "$@"\n' });
      await nest.run(['ccache', 'gcc', '-c', 'x.c'], folder, { env });
      expect(await hits()).toBe(1);
    });

    it('keeps a make, a CMake build and a cargo build here that go through one', async () => {
      const env = { ...there, CCACHE_DIR: join(nest.base, 'ccache-store') };
      const folder = nest.project('cached', {
        ...cmakeProject,
        ...cInRust,
        Makefile: 'CC = ccache gcc\nx.o: util.c\n\t$(CC) -c util.c -o x.o\n',
      });
      await nest.run(['make'], folder, { env });
      const [row] = await nest.world.history(1);
      expect(row).toMatchObject({ decision: 'local' });
      expect(row?.reason).toMatch(/ccache keeps its cache or its server on this machine/);
      await nest.run(
        ['cmake', '-G', 'Ninja', '-B', 'b', '-DCMAKE_C_COMPILER_LAUNCHER=ccache'],
        folder,
      );
      expect(nest.shimsIn(join(folder, 'b'))).toEqual([]);
      await nest.run(['ninja', '-C', 'b'], folder, { env });
      expect((await nest.world.history(1))[0]?.reason).toMatch(/ccache keeps its cache/);
      await nest.run(['cargo', 'build'], folder, {
        env: { ...env, RUSTC_WRAPPER: 'sccache', SCCACHE_DIR: join(nest.base, 'sccache-store') },
      });
      expect((await nest.world.history(1))[0]?.reason).toMatch(/sccache keeps its cache/);
      await nest.run(['sccache', '--stop-server'], folder);
    });
  });

  describe('through others that put themselves first', () => {
    it('goes once round a proxy that looks its tool up, before or behind the shims', async () => {
      const folder = nest.project('proxies', {
        'x.c': tinyC,
        // As asdf, mise and direnv do it: the next of the name on PATH after their own folder.
        'proxy/gcc': '#!/bin/bash\necho proxied >&2\nPATH=${PATH#*/proxy:} exec gcc "$@"\n',
      });
      const proxy = join(folder, 'proxy');
      const shims = nest.shims;
      const system = nest.world.env['PATH'] ?? '';
      for (const path of [
        [proxy, shims, system],
        [shims, proxy, system],
      ]) {
        const ended = await nest.run(['gcc', '-c', 'x.c'], folder, {
          env: { ...there, PATH: path.join(delimiter) },
        });
        expect(ended.stderr.toString()).toBe('proxied\n');
        expect(existsSync(join(folder, 'x.o'))).toBe(true);
        rmSync(join(folder, 'x.o'));
      }
    });

    it('does not go round for ever with one that was told of the shim by its path', async () => {
      const folder = nest.project('loop', {
        'x.c': tinyC,
        'proxy/gcc': `#!/bin/sh\nexec ${join(nest.shims, 'gcc')} "$@"\n`,
      });
      const path = [join(folder, 'proxy'), nest.shims, nest.world.env['PATH']];
      await nest.run(['gcc', '-c', 'x.c'], folder, { env: { PATH: path.join(delimiter) } });
      expect(existsSync(join(folder, 'x.o'))).toBe(true);
    });

    it.skipIf(!mayBeRoot)('runs the real tool under sudo, whose user is another', async () => {
      const folder = nest.project('sudo', {
        Makefile: 'x.o: x.c\n\tcc -c x.c -o x.o\n',
        'x.c': tinyC,
      });
      for (const path of [nest.world.root, nest.world.home, nest.base]) chmodSync(path, 0o755);
      chmodSync(folder, 0o777);
      await nest.run(['sudo', '-n', 'make'], folder);
      rmSync(join(folder, 'x.o'));
      await nest.run(
        ['sudo', '-n', '-u', 'nobody', 'env', `PATH=${nest.world.shimEnv()['PATH'] ?? ''}`, 'make'],
        folder,
      );
      expect(existsSync(join(folder, 'x.o'))).toBe(true);
      expect(await nest.asked()).toEqual([]);
    });

    it.skipIf(!may('unshare', ...namespaces, '--fork', 'true'))(
      'stays here in a mount or PID namespace of its own, where paths may mean other files',
      async () => {
        const folder = nest.project('view', {
          'x.c': tinyC,
          Makefile: 'x.o: x.c\n\tcc -c x.c -o x.o\n',
        });
        for (const how of namespaces) {
          await nest.run(['unshare', how, '--fork', 'make', '-B'], folder, { env: there });
          expect(await nest.world.history(1)).toMatchObject([
            {
              decision: 'local',
              reason: 'the caller sees other files or processes: a container or chroot',
            },
          ]);
        }
      },
    );
  });

  it('stays here when a recipe writes to a descriptor of the caller beyond the first three', async () => {
    const folder = nest.project('descriptor', {
      'x.c': tinyC,
      Makefile: 'x.o: x.c\n\tcc -c x.c -o x.o\n\techo made >&3\n',
    });
    await nest.run(['sh', '-c', 'exec make 3>note'], folder, { env: there });
    expect(readFileSync(join(folder, 'note'), 'utf8')).toBe('made\n');
    const [row] = await nest.world.history(1);
    expect(row).toMatchObject({ decision: 'local' });
    expect(row?.reason).toBe('the build uses descriptor 3 of its caller, which no worker has');
  });

  it('stays here under strace, which would see nothing of it elsewhere', async () => {
    const folder = nest.project('traced', { 'x.c': tinyC });
    const log = join(nest.base, 'trace');
    await nest.run(['strace', '-f', '-e', 'trace=execve', '-o', log, 'gcc', '-c', 'x.c'], folder, {
      env: there,
    });
    expect(readFileSync(log, 'utf8')).toContain('cc1');
    const [row] = await nest.world.history(1);
    expect(row).toMatchObject({ decision: 'local' });
    expect(row?.reason).toBe(
      'strace watches this command, and would see nothing of what runs elsewhere',
    );
  });

  describe('of a real configuration', () => {
    it('configures zlib through the shims as without them', async () => {
      const folder = join(nest.base, 'zlib');
      const results: string[] = [];
      for (const shims of [false, true]) {
        rmSync(folder, { recursive: true, force: true });
        cpSync(await debianSource('zlib'), folder, { recursive: true, preserveTimestamps: true });
        const ended = await nest.run(['./configure'], folder, { shims });
        const made = ['Makefile', 'zconf.h', 'zlib.pc'].map((name) =>
          readFileSync(join(folder, name), 'utf8'),
        );
        results.push([ended.stdout.toString(), ...made].join('\n'));
      }
      expect(results[1]).toBe(results[0]);
      expect(nest.shimsIn(folder)).toEqual([]);
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
        const folder = nest.project('python', files);
        await nest.run(['/usr/bin/python3', 'setup.py', '-q', 'build_ext', '--inplace'], folder, {
          shims,
          env: { ...there, CC: 'gcc', LDSHARED: 'gcc -shared' },
        });
        const said = await nest.run(
          ['/usr/bin/python3', '-c', 'import answer; print(answer.get())'],
          folder,
        );
        expect(said.stdout.toString()).toBe('42\n');
        const library = readdirSync(folder).find((name) => name.endsWith('.so')) ?? '';
        objects.push(execFileSync('sha256sum', [join(folder, library)], { encoding: 'utf8' }));
      }
      expect(objects[1]).toBe(objects[0]);
      const rows = await nest.world.history(2);
      expect(rows.map(({ decision }) => decision)).toEqual(['remote', 'remote']);
    });
  });
});
