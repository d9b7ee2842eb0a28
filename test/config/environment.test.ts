import { expect, it } from 'vitest';
import { withholder } from '../../src/config/environment.ts';
import { defaultConfig } from '../../src/config/schema.ts';

const lists = defaultConfig().environment;

it('withholds what belongs to the session and what looks like a secret, and says by which entry', () => {
  const withheld = withholder(lists);
  expect(withheld('SSH_AUTH_SOCK')).toBe('SSH_AUTH_SOCK');
  expect(withheld('CARGO_REGISTRY_TOKEN')).toBe('*_TOKEN');
  expect(withheld('AWS_SECRET_ACCESS_KEY')).toBe('*_SECRET_*');
  expect(withheld('npm_config_api_key')).toBe('*_API_KEY');
});

it('lets what builds read travel', () => {
  const withheld = withholder(lists);
  const travels = [
    'RUSTFLAGS',
    'CC',
    'CFLAGS',
    'PATH',
    'HOME',
    'LANG',
    'FOO',
    'TOKENIZER',
    'MONKEY',
  ];
  expect(travels.filter((name) => withheld(name) !== undefined)).toEqual([]);
});

it('lets pass win over both lists', () => {
  const withheld = withholder({ ...lists, pass: ['MY_*', 'DISPLAY'] });
  expect(withheld('MY_TOKEN')).toBeUndefined();
  expect(withheld('DISPLAY')).toBeUndefined();
  expect(withheld('YOUR_TOKEN')).toBe('*_TOKEN');
});

it('takes every character but the star literally', () => {
  const withheld = withholder({ withhold: [], withholdPatterns: ['A.B*'], pass: [] });
  expect(withheld('AxB')).toBeUndefined();
  expect(withheld('A.Bc')).toBe('A.B*');
});
