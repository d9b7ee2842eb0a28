/** Tools that call tools: below a build here, and below one on a worker. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Gate } from '../rig/gate.ts';
import { Screen } from '../rig/screen.ts';
import type { Ended } from '../rig/world.ts';
import { cInRust, Nest, there, tinyC } from './nest.ts';
import { cargoProject, cmakeProject, type Files, write } from './projects.ts';
import { cargoCaches, expectSame, twins, withoutTimes, type TwinOptions } from './twins.ts';

let nest: Nest;

/** Two objects by names, by an absolute path, and by the path of a shim. */
const compilers = (): string => `all: a.o b.o c.o
\t@echo "PATH=$$PATH"
\t@command -v cc; command -v gcc
a.o: x.c
\t$(CC) -c x.c -o $@
b.o: x.c
\t/usr/bin/gcc -c x.c -o $@
c.o: x.c
\t${join(nest.shims, 'gcc')} -c x.c -o $@
`;

const meson: Files = {
  'meson.build': "project('m', 'c')\nexecutable('x', 'x.c')\n",
  'x.c': tinyC,
};

/** What differs between any two runs of cargo. */
const notCompared = {
  leaveOut: cargoCaches,
  sameContent: (path: string): boolean => !path.endsWith('.rustc_info.json'),
};

describe('a tool below a tool', () => {
  beforeAll(async () => {
    nest = await Nest.make();
  });
  afterAll(async () => {
    await nest.leave();
  });

  describe('that runs here', () => {
    const here: Files = { RCH_LOCAL_ONLY: '1' };

    it('asks once for a whole make, whatever its recipes call', async () => {
      const folder = nest.project('make-here', { Makefile: compilers(), 'x.c': tinyC });
      const ended = await nest.run(['make'], folder, { env: here });
      expect(await nest.asked()).toEqual(['make local']);
      expect(ended.stdout.toString()).not.toContain(`${nest.shims}:`);
      expect(ended.stdout.toString()).toMatch(/^\/.*bin\/cc\n\/.*bin\/gcc$/m);
    });

    it('leaves the real compiler, not the shim, in what CMake and Meson write down', async () => {
      const folder = nest.project('configured', { ...cmakeProject, ...meson });
      await nest.run(
        ['cmake', '-G', 'Ninja', '-B', 'c', '-DCMAKE_EXPORT_COMPILE_COMMANDS=ON'],
        folder,
      );
      expect(await nest.asked()).toEqual(['cmake local']);
      await nest.run(['ninja', '-C', 'c'], folder, { env: here });
      expect(await nest.asked()).toEqual(['ninja local']);
      await nest.run(['meson', 'setup', 'm'], folder);
      await nest.run(['meson', 'compile', '-C', 'm'], folder, { env: here });
      expect(nest.shimsIn(folder)).toEqual([]);
      const commands = readFileSync(join(folder, 'c', 'compile_commands.json'), 'utf8');
      expect(commands).toMatch(/"command": "\/usr\/bin\/cc /);
    });

    it('leaves the real compiler in the compile_commands.json that bear writes', async () => {
      const folder = nest.project('bear', { Makefile: 'x.o: x.c\n\tgcc -c x.c\n', 'x.c': tinyC });
      await nest.run(['bear', '--', 'make'], folder);
      const commands = readFileSync(join(folder, 'compile_commands.json'), 'utf8');
      expect(commands).toContain('"/usr/bin/gcc"');
      expect(commands).not.toContain(nest.world.data);
      rmSync(join(folder, 'x.o'));
      await nest.run(['bear', '--', 'sh', '-c', 'gcc -c x.c'], folder);
      expect(readFileSync(join(folder, 'compile_commands.json'), 'utf8')).toContain('"file"');
      expect(existsSync(join(folder, 'x.o'))).toBe(true);
    });

    it('keeps the jobserver of the make above', async () => {
      const inner = { ...cInRust, Makefile: 'all:\n\t@echo "$(MAKEFLAGS)"\n' };
      const folder = nest.project('jobserver-here', {
        Makefile: 'all:\n\t+@make -C inner\n\t+@cargo build -q --manifest-path inner/Cargo.toml\n',
        ...Object.fromEntries(Object.entries(inner).map(([path, text]) => [`inner/${path}`, text])),
      });
      const ended = await nest.run(['make', '-j2'], folder, { env: here });
      expect(await nest.asked()).toEqual(['make local']);
      expect(ended.stdout.toString()).toMatch(/-j2 --jobserver-auth=\d+,\d+/);
      expect(ended.stderr.toString()).toBe('');
    });

    it('keeps the jobserver of a make that rch did not see', async () => {
      const folder = nest.project('jobserver-unseen', {
        Makefile: 'all:\n\t+@make -C inner\n',
        'inner/Makefile': 'all:\n\t@echo "$(MAKEFLAGS)"\n',
      });
      const ended = await nest.run(['/usr/bin/make', '-j2'], folder, { env: here });
      expect(await nest.asked()).toEqual(['make local']);
      expect(ended.stdout.toString()).toMatch(/-j2 --jobserver-auth=\d+,\d+/);
      expect(ended.stderr.toString()).toBe('');
    });
  });

  describe('that runs on a worker', () => {
    it('meets no shim there, by name, by absolute path or by the path of a shim', async () => {
      const folder = join(nest.base, 'make-there');
      const options: TwinOptions = {
        folder,
        lay: () => {
          nest.project('make-there', { Makefile: compilers(), 'x.c': tinyC });
        },
        argv: ['make'],
      };
      const twin = await twins(nest.world, options);
      expectSame(twin, options);
      expect(twin.row).toMatchObject({ worker: 'embedded' });
    });

    it.each([
      ['descriptors', '-j2 --jobserver-auth=3,4', '-j --jobserver-fds=3,4 --jobserver-auth=3,4'],
      ['a FIFO', 'k -j8 --jobserver-auth=fifo:/tmp/GMfifo1', '-j --jobserver-auth=fifo:/tmp/f'],
    ])('gets nothing of a jobserver by %s', async (_, makeflags, cargoflags) => {
      const folder = nest.project('jobserver-there', {
        Makefile:
          'all:\n\t@echo "<$(MAKEFLAGS)> <$$CARGO_MAKEFLAGS>"; $(MAKE) -s inner\ninner:\n\t@true\n',
      });
      const ended = await nest.run(['make', '-s'], folder, {
        env: { ...there, MAKEFLAGS: makeflags, MAKELEVEL: '1', CARGO_MAKEFLAGS: cargoflags },
      });
      expect(await nest.asked()).toEqual(['make remote']);
      expect(ended.stdout.toString()).toMatch(/^<k?s> <>\n$/);
      expect(ended.stderr.toString()).toBe('');
    });

    it('gets nothing of the jobserver of a running make', async () => {
      const folder = nest.project('jobserver-gone', {
        Makefile: 'all:\n\t+@make -C inner\n\t+@cargo build --manifest-path inner/Cargo.toml\n',
        ...Object.fromEntries(
          Object.entries({ ...cInRust, Makefile: 'all:\n\t@echo "<$(MAKEFLAGS)>"\n' }).map(
            ([path, text]) => [`inner/${path}`, text],
          ),
        ),
      });
      const ended = await nest.run(['/usr/bin/make', '-j2', '--no-print-directory'], folder, {
        env: there,
      });
      expect(await nest.asked()).toEqual(['make remote', 'cargo remote']);
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
      const folder = join(nest.base, 'progress');
      const build = async (shims: boolean): Promise<string[]> => {
        nest.project('progress', files(gate.port));
        const screen = Screen.open(nest.world, ['cargo', 'build'], {
          cwd: folder,
          shims,
          env: there,
        });
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
        expect(await nest.world.history(1)).toMatchObject([{ decision: 'remote' }]);
      } finally {
        gate.close();
      }
    });

    it('compiles C below cargo', async () => {
      const folder = join(nest.base, 'c-in-rust');
      const options: TwinOptions = {
        folder,
        lay: () => {
          write(folder, cInRust);
        },
        argv: ['cargo', 'build'],
        env: { CARGO_INCREMENTAL: '0' },
        ...notCompared,
      };
      expectSame(await twins(nest.world, options), options);
      expect(
        (await nest.run([join(folder, 'target/debug/c-in-rust')], folder)).stdout.toString(),
      ).toBe('42\n');
    });

    it('answers rust-analyzer as cargo here does', async () => {
      const folder = join(nest.base, 'analyzer');
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
        ...notCompared,
      };
      const twin = await twins(nest.world, options);
      expectSame({ ...twin, remote: sorted(twin.remote), local: sorted(twin.local) }, options);
      expect(twin.remote.stdout.toString()).toContain('"reason":"build-script-executed"');
    });

    it('builds through a wrapper of rustc that travels with the project', async () => {
      const folder = join(nest.base, 'wrapped');
      const options: TwinOptions = {
        folder,
        lay: () => {
          write(folder, { ...cInRust, wrapper: '#!/bin/sh\necho "$1" >> calls\nexec "$@"\n' });
        },
        argv: ['cargo', 'build'],
        env: { CARGO_INCREMENTAL: '0', RUSTC_WRAPPER: './wrapper' },
        ...notCompared,
      };
      expectSame(await twins(nest.world, options), options);
    });

    it('is told by env -i what the caller told it, and nothing else', async () => {
      const files: Files = {
        Makefile: 'all: x.o\n\t@env | grep -v -e ^_= -e ^RCH_ -e ^PATH= | sort\n',
        'x.c': tinyC,
      };
      const folder = join(nest.base, 'bare');
      const options: TwinOptions = {
        folder,
        lay: () => {
          write(folder, files);
        },
        argv: ['sh', '-c', 'env -i PATH="$PATH" RCH_FORCE_REMOTE=1 make'],
      };
      expectSame(await twins(nest.world, options), options);
    });
  });
});

/** Lines of JSON in the order of their text: units end in any order. */
function sorted(ended: Ended): Ended {
  const lines = (bytes: Buffer): Buffer =>
    Buffer.from(bytes.toString('latin1').split('\n').sort().join('\n'), 'latin1');
  return { ...ended, stdout: lines(ended.stdout), stderr: lines(ended.stderr) };
}
