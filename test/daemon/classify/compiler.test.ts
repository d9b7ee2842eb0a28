import { describe, expect, it } from 'vitest';
import { classify } from '../../../daemon/classify/classify.ts';
import { familyOf } from '../../../daemon/classify/family.ts';
import { responseWords } from '../../../daemon/classify/response-file.ts';
import { requestOf, words } from './request-of.ts';

const verdictOf = (line: string, env: Record<string, string> = {}): ReturnType<typeof classify> =>
  classify(requestOf(words(line), { env }));

function call(line: string, env: Record<string, string> = {}) {
  const verdict = verdictOf(line, env);
  if (verdict.kind === 'local' || verdict.family !== 'compiler')
    throw new Error(`${line}: ${JSON.stringify(verdict)}`);
  return verdict;
}

describe('names of compilers', () => {
  it.each(
    'gcc g++ cc c++ clang clang++ gcc-12 g++-4.8 clang-15 x86_64-linux-gnu-gcc arm-none-eabi-g++-10'.split(
      ' ',
    ),
  )('%s is a compiler', (name) => {
    expect(familyOf(name)).toBe('compiler');
  });
  it.each('gcc-ar gcc-nm-12 clang-format clang-tidy cpp ld ccmake gccgo-12x scan-build'.split(' '))(
    '%s is none',
    (name) => {
      expect(familyOf(name)).not.toBe('compiler');
    },
  );
});

describe('questions to a compiler', () => {
  it.each([
    'gcc',
    'gcc --version',
    'gcc -v',
    'gcc -dumpversion',
    'gcc -dumpfullversion',
    'gcc -dumpmachine',
    'gcc -dumpspecs',
    'gcc -print-search-dirs',
    'gcc -print-prog-name=ld',
    'gcc -print-file-name=crtbegin.o',
    'gcc --print-multi-lib',
    'gcc -### -c a.c',
    'gcc --help',
    'gcc --help=optimizers',
    'gcc --target-help',
    'gcc -',
    'gcc -x c -',
    'gcc -x c - -o out',
    'gcc -I',
  ])('%s is light and stays here', (line) => {
    expect(verdictOf(line)).toMatchObject({ kind: 'local', weight: 'light' });
  });
});

describe('calls that may go and are not worth the way', () => {
  it.each([
    ['gcc -E a.c', 'preprocessing'],
    ['gcc -E -dM -x c /dev/null', 'preprocessing'],
    ['gcc -M a.c', 'listing dependencies'],
    ['gcc -MM a.c -MF a.d', 'listing dependencies'],
  ])('%s is too small', (line, why) => {
    const verdict = verdictOf(line);
    expect(verdict).toMatchObject({ kind: 'candidate', command: 'cc compile', links: false });
    expect(verdict).toHaveProperty('tooSmall', expect.stringContaining(why));
  });
});

describe('what a compiler reads and writes', () => {
  it.each([
    ['gcc -c a.c', 'cc compile', ['a.c'], []],
    ['gcc -S -o - a.c', 'cc compile', ['a.c'], []],
    ['gcc -E a.c -o a.i', 'cc compile', ['a.c'], ['a.i']],
    ['clang -MJ a.json -c a.c', 'cc compile', ['a.c'], ['a.json']],
    ['clang++ -fmodule-file=m=dir/m.pcm -c a.cc', 'cc compile', ['dir/m.pcm', 'a.cc'], []],
    ['clang++ -fmodule-file=m.pcm -c a.cc', 'cc compile', ['m.pcm', 'a.cc'], []],
    ['gcc -c a.c -o x/a.o', 'cc compile', ['a.c'], ['x/a.o']],
    ['gcc -ca.c', 'cc link', [], []],
    ['gcc a.c', 'cc compile and link', ['a.c'], ['a.out']],
    ['gcc a.o b.o -ofoo', 'cc link', ['a.o', 'b.o'], ['foo']],
    ['gcc -S a.c', 'cc compile', ['a.c'], []],
    ['gcc -fsyntax-only a.c', 'cc compile', ['a.c'], []],
    ['gcc -o /dev/null a.c', 'cc compile and link', ['a.c'], []],
    ['gcc -MD -MF d/a.d -MT a.o -MQ b -MP -c a.c', 'cc compile', ['a.c'], ['d/a.d']],
    ['gcc -MFd/a.d -MMD -c a.c', 'cc compile', ['a.c'], ['d/a.d']],
    ['gcc -Wp,-MD,a.d -c a.c', 'cc compile', ['a.c'], ['a.d']],
    ['gcc -include pre.h -imacros m.h -c a.c', 'cc compile', ['pre.h', 'm.h', 'a.c'], []],
    ['gcc -c a.s b.S', 'cc compile', ['a.s', 'b.S'], []],
    ['gcc -x c++ -c a.weird', 'cc compile', ['a.weird'], []],
    ['gcc -Wl,--version-script=v.map -shared a.o', 'cc link', ['a.o', 'v.map'], ['a.out']],
    ['gcc -Wl,-T,link.ld a.o', 'cc link', ['a.o', 'link.ld'], ['a.out']],
    ['gcc -T link.ld a.o', 'cc link', ['link.ld', 'a.o'], ['a.out']],
    ['gcc -Wl,-Map=m.txt a.o', 'cc link', ['a.o'], ['a.out', 'm.txt']],
    ['gcc -Xlinker -Map -Xlinker m.txt a.o', 'cc link', ['a.o'], ['a.out', 'm.txt']],
    ['gcc -Wl,-rpath,/opt/x a.o', 'cc link', ['a.o'], ['a.out']],
    ['gcc -fprofile-use=p.gcda -c a.c', 'cc compile', ['p.gcda', 'a.c'], []],
    ['gcc -specs=my.specs a.o', 'cc link', ['my.specs', 'a.o'], ['a.out']],
    ['gcc -fplugin=./p.so -c a.c', 'cc compile', ['./p.so', 'a.c'], []],
    ['gcc -aux-info f.x -c a.c', 'cc compile', ['a.c'], ['f.x']],
    ['gcc --coverage -save-temps -pipe -flto -gsplit-dwarf -c a.c', 'cc compile', ['a.c'], []],
    ['gcc -D X -U Y -DZ=1 --param a=b -c a.c', 'cc compile', ['a.c'], []],
  ] as const)('%s', (line, command, inputs, outputs) => {
    const found = verdictOf(line);
    if (inputs.length === 0) return;
    expect(found).toMatchObject({ kind: 'candidate', command, inputs, outputs });
  });

  it('knows folders, joined and separate', () => {
    expect(
      call(
        'gcc -Ia -I b -isystem c -isystemd -iquote e -idirafter f -Lg -L h -Bi --sysroot=j --sysroot k -c a.c',
      ).folders,
    ).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k']);
  });

  it('knows libraries, the linker and @files', () => {
    const found = call('clang a.o -lz -l m -fuse-ld=mold @more.rsp -Wl,@link.rsp');
    expect(found.libraries).toEqual(['z', 'm']);
    expect(found.linker).toBe('mold');
    expect(found.responseFiles).toEqual(['more.rsp', 'link.rsp']);
  });

  it.each(['-march=native', '-mtune=native', '-mcpu=native'])(
    '%s asks for the same CPU',
    (flag) => {
      expect(call(`gcc ${flag} -c a.c`).nativeCpu).toBe(true);
    },
  );

  it('counts folders and files of the environment', () => {
    const found = call('gcc -c a.c', {
      CPATH: '/a::/b',
      LIBRARY_PATH: '/c',
      DEPENDENCIES_OUTPUT: '/d/deps target',
    });
    expect(found.folders).toEqual(['/a', '/b', '/c']);
    expect(found.outputs).toEqual(['/d/deps']);
    expect(verdictOf('gcc -c a.c', { GCC_EXEC_PREFIX: '/x' }).kind).toBe('local');
  });

  it.each([
    'gcc -wrapper gdb,--args -c a.c',
    'gcc -c /dev/stdin',
    'gcc -c a.c -o /dev/fd/3',
    'gcc -c /proc/self/fd/0',
  ])('%s stays here', (line) => {
    expect(verdictOf(line).kind).toBe('local');
  });

  it.each(['gcc -B./tools -c a.c', 'gcc -B tools a.c', 'gcc -specs=mine.specs -c a.c'])(
    '%s runs other programs, which may write anything',
    (line) => {
      expect(call(line).own).toBeUndefined();
      expect(call('gcc -c a.c').own).toEqual(['a.o']);
    },
  );

  it.each([
    'gcc conftest.c',
    'gcc -c conftest.cpp',
    'cc -c /x/CMakeFiles/CMakeScratch/TryCompile-1/testCCompiler.c',
  ])('%s is too small to gain, which is a matter of cost', (line) => {
    expect(call(line).tooSmall).toContain('probe');
  });

  it('keeps paths with spaces, newlines and bytes that are no UTF-8', () => {
    const name = 'a b\n$\xff"\'.c';
    const verdict = classify(requestOf(['gcc', '-c', name]));
    expect(verdict).toMatchObject({ kind: 'candidate', inputs: [name] });
  });
});

describe('@files', () => {
  it('are split by whitespace, quotes and backslashes', () => {
    expect(responseWords('-c "a b.c"\n\t-DX=\'1 2\' c\\ d.c ""')).toEqual([
      '-c',
      'a b.c',
      '-DX=1 2',
      'c d.c',
      '',
    ]);
  });
});

describe('modules that clang makes by itself', () => {
  it('keep a call here, of whose cache nothing is carried', () => {
    const verdict = verdictOf('clang -fmodules -c a.c');
    expect(verdict.kind === 'local' ? verdict.reason : '').toContain('-fmodules');
    call('clang -fmodules -fno-implicit-modules -fmodule-file=m.pcm -c a.c');
  });
});

it('takes the files that variables have a compiler write for outputs', () => {
  for (const name of ['CC_PRINT_HEADERS_FILE', 'CC_LOG_DIAGNOSTICS_FILE', 'DEPENDENCIES_OUTPUT'])
    expect(call('clang -c a.c', { [name]: '/o/x' }).outputs).toContain('/o/x');
});
