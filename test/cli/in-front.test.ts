import { describe, expect, it } from 'vitest';
import { foldersInFront } from '../../src/cli/shim/in-front.ts';

const row = (tool: string, real: string | null, first = false) => ({
  ...{ tool, link: `/shims/${tool}`, real },
  first_on_path: first,
});

describe('what stands before the shims', () => {
  it.each([
    ['/home/me/.local/share/mise/shims', 'mise', 'above the lines of rch'],
    ['/home/me/.asdf/shims', 'asdf', 'above those of rch'],
    ['/home/me/.cargo/bin', 'rustup', '.cargo/env'],
    ['/home/me/work/bin', 'direnv', "end /home/me/work/.envrc with: PATH_add '/shims'"],
    ['/usr/local/bin', '', `export PATH='/shims':"$PATH"`],
  ])('%s', (folder, by, next) => {
    const rows = [
      row('make', `${folder}/make`),
      row('gcc', '/usr/bin/gcc', true),
      row('cc', `${folder}/cc`),
      { ...row('meson', `${folder}/meson`), link: null },
      row('ninja', null),
    ];
    const found = foldersInFront(rows, '/shims', '-/home/me/work');
    expect(found).toEqual([
      { folder, by, tools: ['make', 'cc'], next: expect.stringContaining(next) as string },
    ]);
  });

  it('is nothing where every shim is found first', () => {
    expect(foldersInFront([row('make', '/usr/bin/make', true)], '/shims', undefined)).toEqual([]);
  });
});
