import fc from 'fast-check';
import { expect, test } from 'vitest';
import { styled, TerminalText } from '../../src/base/terminal-text.ts';

function linesOf(text: string, most = 100): string[] {
  const shown = new TerminalText(most);
  shown.write(text);
  return shown.last(most).map((runs) => runs.map((run) => run.text).join(''));
}

test('lines, carriage returns, erasing and moving up end as a terminal would show them', () => {
  expect(linesOf('one\r\ntwo\n')).toEqual(['one', 'two']);
  expect(linesOf('[1/2] cc a.c\r\u001b[K[2/2] cc b.c\n')).toEqual(['[2/2] cc b.c']);
  expect(linesOf('long line\rshort')).toEqual(['shortline']);
  expect(linesOf('a\n\u001b[1A\u001b[2Kb\n')).toEqual(['b']);
  expect(linesOf('ab\bc\td')).toEqual(['ac      d']);
  expect(linesOf('x\u001b[5Gy\u001b[3Dz')).toEqual(['x z y']);
  expect(linesOf('a\u001b[?1Ab\u001b[>1Kc')).toEqual(['abc']);
});

test('titles, links, unknown sequences and other control characters show nothing', () => {
  const link = '\u001b]8;;https://doc.example/E0308\u001b\\E0308\u001b]8;;\u0007';
  expect(linesOf(`\u001b]0;title\u0007error[${link}]`)).toEqual(['error[E0308]']);
  expect(linesOf('\u001b[?25la\u001b(Bb\u0007\u0000c\u009b31md\u001b[>4;1me')).toEqual([
    'abc31mde',
  ]);
});

test('a sequence that comes in two parts is one', () => {
  const shown = new TerminalText(10);
  for (const part of ['\u001b', '[3', '1mred', '\u001b]8;;http', '://x\u001b', '\\!'])
    shown.write(part);
  expect(shown.last(1)).toEqual([[{ text: 'red!', style: { fg: 1 } }]]);
});

test('colours and attributes are those of ECMA-48', () => {
  expect(styled({}, [1, 38, 5, 208, 48, 2, 1, 2, 300])).toEqual({
    bold: true,
    fg: 208,
    bg: '#0102ff',
  });
  expect(styled({ bold: true, dim: true, fg: 1 }, [22, 94])).toEqual({ fg: 12 });
  expect(styled({ fg: 1, bg: 2, underline: true }, [39, 49, 24])).toEqual({});
  expect(styled({ fg: 1 }, [0])).toEqual({});
});

test('only so many lines are kept, and one that says where something is missing', () => {
  const shown = new TerminalText(3);
  shown.write('1\n2\n3\n4\n5');
  expect(shown.dropped).toBe(2);
  shown.skip();
  shown.write('9');
  const lines = shown.last(3).map((runs) => runs.map((run) => run.text).join(''));
  expect(lines).toEqual(['5', '…', '9']);
});

test('whatever comes, and however it is cut, nothing that controls a terminal comes out', () => {
  const piece = fc.oneof(
    fc
      .array(fc.integer({ min: 0, max: 0x2ff }), { maxLength: 12 })
      .map((codes) => String.fromCodePoint(...codes)),
    fc.constantFrom(
      '\u001b[',
      '\u001b]',
      'm',
      'K',
      'A',
      ';',
      '38',
      '\r',
      '\n',
      '\u009b',
      '\u001b\\',
    ),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const shown = new TerminalText(8);
      for (const each of pieces) shown.write(each);
      const lines = shown.last(8);
      const text = lines.flatMap((runs) => runs.map((run) => run.text)).join('');
      return lines.length <= 8 && !/[\u0000-\u001f\u007f-\u009f]/.test(text);
    }),
    { numRuns: 60 },
  );
});
