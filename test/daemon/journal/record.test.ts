import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { quoted } from '../../../daemon/journal/record.ts';

test('a recorded command reads back in a shell word for word', () => {
  const argv = ['printf', '%s\\0', 'plain', 'a b', "it's", '$HOME', '', 'new\nline', '--x=1,2'];
  const out = execFileSync('/bin/sh', ['-c', quoted(argv)], { encoding: 'utf8' });
  expect(out.split('\0').slice(0, -1)).toEqual(argv.slice(2));
});
