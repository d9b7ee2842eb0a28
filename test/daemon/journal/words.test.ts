import { expect, it } from 'vitest';
import { commandWords, withoutArguments } from '../../../daemon/journal/words.ts';

it('leaves no argument in words about a command, nor what stands behind its =', () => {
  const argv = ['make', 'TOKEN=hunter2', '--key=s3cret', 'all', 'x'];
  const text = 'TOKEN=hunter2 is read, hunter2 and s3cret too; all of it is small, make x';
  expect(withoutArguments(text, argv, 'make')).toBe(
    '… is read, … and … too; … of it is small, make x',
  );
});

it('keeps the words of the kind of a command', () => {
  const text = 'cargo build is worth the way';
  expect(withoutArguments(text, ['cargo', 'build', '--release'], 'cargo build')).toBe(text);
  expect(commandWords({ tool: '/usr/bin/make', kind: '' })).toBe('make');
  expect(commandWords({ tool: 'cargo', kind: 'cargo test' })).toBe('cargo test');
});

it('takes arguments as they are, whatever characters they hold', () => {
  expect(withoutArguments('no a.*(b found', ['gcc', 'a.*(b'], '')).toBe('no … found');
});
