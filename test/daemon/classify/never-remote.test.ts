/** The README's "What is never remote", as far as name, arguments and descriptors tell; the rest in plan and select. */
import { describe, expect, it } from 'vitest';
import { classify } from '../../../daemon/classify/classify.ts';
import type { Stream } from '../../../daemon/classify/request.ts';
import { Shared, StreamKind } from '../../../src/protocol/shim.ts';
import { requestOf, words } from './request-of.ts';

const kindOf = (line: string): string => classify(requestOf(words(line))).kind;
const file = (flags: number): Stream => ({ kind: StreamKind.file, dev: 1n, ino: 5n, flags });

describe('never remote, as the README says', () => {
  it.each([
    [
      'edit',
      [
        'cargo add x',
        'cargo remove x',
        'cargo update',
        'cargo generate-lockfile',
        'make menuconfig',
      ],
    ],
    [
      'publish',
      [
        'cargo publish',
        'cargo login',
        'cargo owner',
        'cargo yank',
        'cargo package',
        'make publish',
      ],
    ],
    [
      'install',
      [
        'cargo install x',
        'cargo uninstall x',
        'make install',
        'ninja install',
        'cmake --install b',
      ],
    ],
    [
      'clean',
      [
        'cargo clean',
        'make clean',
        'make distclean',
        'ninja clean',
        'ninja -t clean',
        'meson compile --clean',
      ],
    ],
    ['scaffold', ['cargo new x', 'cargo init']],
    ['format', ['cargo fmt', 'cargo fix', 'cargo clippy --fix', 'make format']],
    ['watch', ['cargo watch', 'make watch']],
    [
      'only ask',
      [
        'cargo --version',
        'cargo tree',
        'cargo metadata',
        'gcc --version',
        'gcc -v',
        'make -n',
        'ninja -n',
      ],
    ],
    ['configure', ['cmake -S . -B build', 'meson setup build']],
    [
      'run a server',
      ['serve', 'server', 'listen', 'daemon', 'watch'].map((name) => `cargo run -- --${name}`),
    ],
  ])('commands that %s', (_, lines) => {
    for (const line of lines) expect(kindOf(line), line).toBe('local');
  });

  it('what reads a file descriptor by name', () => {
    for (const path of [
      '/dev/fd/3',
      '/dev/stdin',
      '/dev/stdout',
      '/dev/tty',
      '/proc/self/fd/0',
      '/proc/1/fd/1',
    ])
      expect(kindOf(`gcc -x c -c ${path}`), path).toBe('local');
  });

  it('what writes one file that was opened twice', () => {
    const of = (one: number, two: number, shared: number): string =>
      classify(
        requestOf(['make'], { streams: [{ ...file(0), ino: 9n }, file(one), file(two)], shared }),
      ).kind;
    expect(of(1, 1, 0)).toBe('local');
    expect(of(1, 0o2001, 0)).toBe('local');
    expect(of(1, 1, Shared.outErr)).toBe('candidate');
  });

  it('but cargo run of a program that is no server is built there', () => {
    expect(kindOf('cargo run -- --size 3')).toBe('candidate');
  });
});
