import fc from 'fast-check';
import { parse } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { setValue, unsetValue } from '../../src/config/toml-edit.ts';
import type { TomlValue } from '../../src/config/toml-value.ts';

const file = `# mine
[general]   # the first
enabled = true   # always
log_level = "info"

# what goes over
[transfer]
exclude.patterns = [ # long
  "a", "]",
]
timeout_sec = 5

[hooks]
pre_transfer = """
x = 1
[no]"""

[execution]
env = { A = "1", B = "2" }
`;

function set(text: string, path: string, value: TomlValue): string {
  const edited = setValue(text, path.split('.'), value);
  if (!edited.ok) throw new Error(edited.failure.reason);
  return edited.value;
}
function unset(text: string, path: string): string | undefined {
  const edited = unsetValue(text, path.split('.'));
  if (!edited.ok) throw new Error(edited.failure.reason);
  return edited.value;
}

describe('setting', () => {
  it('replaces a value alone, with the comment behind it kept', () => {
    expect(set(file, 'general.enabled', false)).toBe(
      file.replace('enabled = true ', 'enabled = false '),
    );
  });

  it('replaces a value of many lines', () => {
    expect(set(file, 'transfer.exclude.patterns', ['b'])).toBe(
      file.replace('[ # long\n  "a", "]",\n]', '["b"]'),
    );
    expect(set(file, 'hooks.pre_transfer', 'y')).toBe(file.replace('"""\nx = 1\n[no]"""', '"y"'));
  });

  it('adds a key behind the last of its table', () => {
    expect(set(file, 'general.verbose', true)).toBe(
      file.replace('log_level = "info"\n', 'log_level = "info"\nverbose = true\n'),
    );
  });

  it('adds a key beside others that are written with dots', () => {
    expect(set('[transfer]\nexclude.a = 1\n', 'transfer.exclude.b', 2)).toBe(
      '[transfer]\nexclude.a = 1\nexclude.b = 2\n',
    );
  });

  it('adds a table at the end, and starts a file', () => {
    expect(set(file, 'store.limit_gb', 3)).toBe(`${file}\n[store]\nlimit_gb = 3\n`);
    expect(set('', 'store.limit_gb', 3)).toBe('[store]\nlimit_gb = 3\n');
  });

  it('reaches into an inline table', () => {
    expect(set(file, 'execution.env.C', '3')).toContain('env = { A = "1", B = "2", C = "3" }\n');
  });

  it('keeps the line ends of the file', () => {
    expect(set('[a]\r\nb = 1\r\n', 'a.c', 2)).toBe('[a]\r\nb = 1\r\nc = 2\r\n');
  });

  it('changes nothing in a file that it does not understand', () => {
    expect(setValue('[a', ['a', 'b'], 1).ok).toBe(false);
    expect(setValue('a = [{ b = 1 }]\n', ['a', 'b'], 1).ok).toBe(false);
  });
});

describe('unsetting', () => {
  it('takes the lines of the value, and a header that has nothing left', () => {
    expect(unset(file, 'general.log_level')).toBe(file.replace('log_level = "info"\n', ''));
    expect(unset('[a]\nb = [\n 1,\n]\n\n[c]\nd = 1\n', 'a.b')).toBe('[c]\nd = 1\n');
  });

  it('undoes setting', () => {
    for (const path of ['general.verbose', 'store.limit_gb', 'execution.env.C'])
      expect(unset(set(file, path, 'v'), path)).toBe(file);
  });

  it('says when there is nothing to take', () => {
    expect(unset(file, 'general.verbose')).toBeUndefined();
  });
});

describe('whatever the file', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd-e');
  const value = fc.oneof(
    fc.string(),
    fc.integer({ min: -1000, max: 1000 }),
    fc.boolean(),
    fc.array(fc.string(), { maxLength: 3 }),
  );
  const line = fc.oneof(
    fc.constantFrom('', '# a comment', '  # another'),
    fc.tuple(name, name).map(([a, b]) => `[${a}.${b}]`),
    name.map((each) => `[${each}]`),
    fc.tuple(name, value).map(([key, each]) => `${key} = ${JSON.stringify(each)} # why`),
    fc.tuple(name, name).map(([a, b]) => `${a}.${b} = """\n[x]\n"""`),
  );

  it('an edit does what was asked and nothing else, or is refused', () => {
    fc.assert(
      fc.property(fc.array(line), name, name, value, (lines, table, key, put) => {
        const text = `${lines.join('\n')}\n`;
        let before: Record<string, unknown>;
        try {
          before = parse(text);
        } catch {
          return;
        }
        const after = setValue(text, [table, key], put);
        if (!after.ok) return;
        const read = parse(after.value) as Record<string, Record<string, unknown> | undefined>;
        expect(read[table]?.[key]).toEqual(put);
        const comments = (from: string): number => from.split('# a comment').length;
        expect(comments(after.value)).toBe(comments(text));
        const back = unsetValue(after.value, [table, key]);
        const had = (before[table] as Record<string, unknown> | undefined)?.[key] !== undefined;
        if (back.ok && back.value !== undefined && !had)
          expect(Object.keys(parse(back.value)).length).toBeLessThanOrEqual(
            Object.keys(before).length + 1,
          );
      }),
    );
  });
});
