/** Refreshes that look at nothing where the kernel told of nothing: they must find what any other finds. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FsHelper } from '../../src/tree/fs-helper.ts';
import {
  clockPasses,
  folder,
  hasher,
  helper,
  lookAt,
  openTree,
  program,
  usesHelper,
  value,
} from './rig.ts';

usesHelper();

/** Somewhere in the tree, by names of few kinds, so that operations meet. */
const place = fc
  .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('/'));
const operation = fc.record({
  kind: fc.constantFrom(
    ...['write', 'append', 'truncate', 'touch', 'chmod', 'remove', 'folder', 'rename', 'link'],
    ...['symlink', 'swap', 'away', 'mapped', 'file for folder', 'through'],
  ),
  one: place,
  two: place,
  text: fc.string({ maxLength: 5 }),
});
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** Writes by a mapping after the file was closed, and ends. */
const MAPPED = `import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 8)
m = mmap.mmap(fd, 8)
os.close(fd)
m[:] = sys.argv[2].encode()[:8].ljust(8)
`;

/** What does not go, does not. */
function act(root: string, outside: string, { kind, one, two, text }: Operation): void {
  const [a, b] = [join(root, one), join(root, two)];
  switch (kind) {
    case 'write':
      fs.mkdirSync(join(a, '..'), { recursive: true });
      fs.writeFileSync(a, text);
      return;
    case 'append':
      fs.appendFileSync(a, text);
      return;
    case 'truncate':
      fs.truncateSync(a, 2);
      return;
    case 'touch':
      fs.utimesSync(a, text.length, text.length);
      return;
    case 'chmod':
      fs.chmodSync(a, 0o700 + text.length);
      return;
    case 'remove':
      fs.rmSync(a, { recursive: true });
      return;
    case 'folder':
      fs.mkdirSync(a, { recursive: true });
      return;
    case 'rename':
      fs.renameSync(a, b);
      return;
    case 'link':
      fs.linkSync(a, b);
      return;
    case 'symlink':
      fs.symlinkSync(text === '' ? 'a' : text, a);
      return;
    case 'swap':
      fs.renameSync(a, join(outside, 'x'));
      fs.renameSync(b, a);
      fs.renameSync(join(outside, 'x'), b);
      return;
    case 'away':
      fs.renameSync(a, join(outside, 'y'));
      fs.appendFileSync(join(outside, 'y', 'a'), text);
      fs.renameSync(join(outside, 'y'), a);
      return;
    case 'through':
      fs.linkSync(a, b);
      fs.appendFileSync(b, text);
      fs.rmSync(b);
      return;
    case 'mapped':
      execFileSync('python3', ['-c', MAPPED, a, text.replaceAll('\0', ' ')], { stdio: 'ignore' });
      return;
    case 'file for folder':
      fs.rmSync(a, { recursive: true });
      fs.writeFileSync(a, text);
  }
}

/** What the helpers of this process watch now. */
function watches(): number {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const stat = unlessGone(() => ` ${fs.readFileSync(`/proc/${pid}/stat`, 'utf8')}`);
      return / \d+ \(.*\) \S (\d+) /.exec(stat ?? '')?.[1] === `${process.pid}`;
    })
    .flatMap((pid) => {
      const folder = `/proc/${pid}/fdinfo`;
      return (unlessGone(() => fs.readdirSync(folder)) ?? []).map((fd) => join(folder, fd));
    })
    .map((file) => unlessGone(() => fs.readFileSync(file, 'utf8'))?.match(/^inotify /gm) ?? [])
    .reduce((count, { length }) => count + length, 0);
}

/** A process ends, and a descriptor is closed, while it is looked at. */
function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

describe('a watched tree', () => {
  it('is found as it is, whatever happened in it between two looks', async () => {
    const one = helper();
    const hashes = hasher();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(operation, { maxLength: 8 }), { maxLength: 8 }),
        async (rounds) => {
          const top = folder();
          const [root, outside] = [join(top, 'root'), join(top, 'outside')];
          fs.mkdirSync(root);
          fs.mkdirSync(outside);
          for (const name of ['a/a/a', 'a/b', 'b/a', 'b/b/c', 'c'])
            act(root, outside, { kind: 'write', one: name, two: '', text: name });
          const parts = { helper: one, hasher: hashes };
          const { tree } = openTree(root, { ...parts });
          await tree.refresh({ quiet: true });
          for (const round of rounds) {
            for (const each of round)
              try {
                act(root, outside, each);
              } catch {
                // Nothing there, or something else.
              }
            // A name that a failed swap left outside.
            for (const name of fs.readdirSync(outside))
              fs.rmSync(join(outside, name), { recursive: true });
            const found = value(await tree.refresh({ quiet: true })).manifest;
            expect(found).toEqual(lookAt(root));
            // What is only just written is looked at again in any case: from here on nothing is.
            await clockPasses();
            value(await tree.refresh({ quiet: true }));
          }
          await tree.close();
        },
      ),
      { numRuns: Number(process.env['FUZZ_RUNS'] ?? 25) },
    );
  });

  it('is not looked at where nothing happened', async () => {
    const root = folder();
    const outside = folder();
    fs.mkdirSync(join(root, 'one'));
    fs.writeFileSync(join(root, 'one', 'file'), '');
    const { tree } = openTree(root);
    const links = async (quiet: boolean): Promise<number | undefined> => {
      value(await tree.refresh({ quiet }));
      return tree.stat('one/file')?.nlink;
    };
    await links(true);
    await clockPasses();
    expect(await links(true)).toBe(1);
    // By a link from outside, which changes no content: of that no folder hears.
    fs.linkSync(join(root, 'one', 'file'), join(outside, 'other'));
    expect(await links(true)).toBe(1);
    expect(await links(false)).toBe(2);
  });

  it('is looked at where a file has a name that is left out', async () => {
    const root = folder();
    fs.mkdirSync(join(root, 'one'));
    fs.mkdirSync(join(root, 'left'));
    fs.writeFileSync(join(root, 'one', 'file'), 'a');
    const { tree } = openTree(root, { skip: ['left'] });
    value(await tree.refresh({ quiet: true }));
    fs.linkSync(join(root, 'one', 'file'), join(root, 'left', 'file'));
    for (let n = 0; n < 2; n += 1) {
      await clockPasses();
      value(await tree.refresh({ quiet: true }));
    }
    fs.appendFileSync(join(root, 'left', 'file'), 'b');
    const { manifest } = value(await tree.refresh({ quiet: true }));
    expect(manifest.get('one/file')).toMatchObject({ size: 2 });
  });

  it('is looked at as a whole when more happened than the kernel keeps', async () => {
    const root = folder();
    const most = Number(fs.readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
    fs.mkdirSync(join(root, 'one'));
    fs.writeFileSync(join(root, 'one', 'file'), '');
    fs.writeFileSync(join(root, 'last'), 'a');
    const { tree } = openTree(root);
    value(await tree.refresh({ quiet: true }));
    for (let n = 0; n <= most; n += 1) fs.utimesSync(join(root, n % 2 ? 'one/file' : 'last'), 1, n);
    fs.writeFileSync(join(root, 'last'), 'b');
    fs.mkdirSync(join(root, 'two'));
    const found = value(await tree.refresh({ quiet: true })).manifest;
    expect(found).toEqual(lookAt(root));
    fs.writeFileSync(join(root, 'two', 'file'), '');
    expect(value(await tree.refresh({ quiet: true })).manifest.has('two/file')).toBe(true);
  });

  it('takes back its watches when it is closed', async () => {
    const root = folder();
    for (let n = 0; n < 50; n += 1) fs.mkdirSync(join(root, `${n}`));
    const one = new FsHelper(program());
    try {
      const { tree } = openTree(root, { helper: one });
      value(await tree.refresh({ quiet: true }));
      expect(watches()).toBe(51);
      fs.rmSync(join(root, '0'), { recursive: true });
      fs.renameSync(join(root, '1'), join(root, '0'));
      value(await tree.refresh({ quiet: true }));
      value(await tree.refresh({ quiet: true }));
      expect(watches()).toBe(50);
      await tree.close();
      // What is asked after it is answered after it.
      value(await openTree(folder(), { helper: one }).tree.refresh());
      expect(watches()).toBe(0);
    } finally {
      one.close();
    }
  });
});
