import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { parse } from 'smol-toml';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withoutWorker, withWorker, writeWorkersFile } from '../../src/config/workers-file.ts';

const file = [
  '# my machines',
  '[defaults]',
  'ssh_timeout_ms = 900   # slow link',
  '',
  '# the big one',
  '[[workers]]',
  'id = "css"',
  'host = "203.0.113.20" # rack 4',
  '',
  '# the small one',
  '[[workers]]',
  'id = "csd"',
  'tags = [',
  '  "[[workers]]",',
  ']',
  'host = "198.51.100.20"',
  '',
].join('\n');

describe('adding', () => {
  it('keeps every byte that was there', () => {
    const text = withWorker(file, {
      id: 'yto',
      host: 'h',
      port: 2222,
      user: undefined,
      tags: ['a'],
    });
    expect(text.startsWith(file)).toBe(true);
    expect(text.slice(file.length)).toBe(
      '\n[[workers]]\nid = "yto"\nhost = "h"\nport = 2222\ntags = ["a"]\n',
    );
  });

  it('starts a file, and ends a line that has no end', () => {
    expect(withWorker('', { id: 'a' })).toBe('[[workers]]\nid = "a"\n');
    expect(withWorker('# x', { id: 'a' })).toBe('# x\n\n[[workers]]\nid = "a"\n');
  });

  it('writes any text so that it is read back as it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.array(fc.string()), (host, command) => {
        const text = withWorker(file, { id: 'x', host, command });
        const workers = parse(text)['workers'] as { host: string; command: string[] }[];
        expect(workers[2]).toEqual({ id: 'x', host, command });
      }),
    );
  });
});

describe('removing', () => {
  it('takes the block with the comment above it, and nothing else', () => {
    expect(withoutWorker(file, 'css')).toBe(
      file.replace(
        '# the big one\n[[workers]]\nid = "css"\nhost = "203.0.113.20" # rack 4\n\n',
        '',
      ),
    );
  });

  it('takes the last block', () => {
    expect(withoutWorker(file, 'csd')).toBe(file.slice(0, file.indexOf('\n# the small')));
  });

  it('undoes adding', () => {
    const added = withWorker(file, { id: 'yto', host: 'h' });
    expect(withoutWorker(added, 'yto')).toBe(file);
  });

  it('leaves nothing of the only block', () => {
    expect(withoutWorker('[[workers]]\nid = "a"\nhost = "h"\n', 'a')).toBe('');
  });

  it('does not touch workers that are written in another way', () => {
    expect(withoutWorker('workers = [{ id = "a", host = "h" }]\n', 'a')).toBeUndefined();
    expect(withoutWorker(file, 'nobody')).toBeUndefined();
  });
});

describe('writing', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'rch-workers-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('replaces the file that a link leads to, with mode 0600', () => {
    const real = join(folder, 'real.toml');
    const link = join(folder, 'workers.toml');
    writeFileSync(real, 'old', { mode: 0o644 });
    symlinkSync(real, link);
    expect(writeWorkersFile(link, 'new').ok).toBe(true);
    expect(readFileSync(real, 'utf8')).toBe('new');
    expect(statSync(real).mode & 0o777).toBe(0o600);
  });

  it('says why it could not', () => {
    writeFileSync(join(folder, 'f'), '');
    const written = writeWorkersFile(join(folder, 'f', 'workers.toml'), 'x');
    expect(written.ok).toBe(false);
  });
});
