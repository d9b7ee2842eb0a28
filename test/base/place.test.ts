import { expect, test } from 'vitest';
import { withoutBrackets, withPort } from '../../src/base/place.ts';

test.each([
  ['203.0.113.20', '203.0.113.20:22'],
  ['css', 'css:22'],
  ['2001:db8::2', '[2001:db8::2]:22'],
  ['fe80::1%eth0', '[fe80::1%eth0]:22'],
])('%s and its port are %s', (host, place) => {
  expect(withPort(host, 22)).toBe(place);
});

test('an address is taken out of its brackets, and nothing else is changed', () => {
  expect(withoutBrackets('[2001:db8::2]')).toBe('2001:db8::2');
  for (const host of ['css', '2001:db8::2', '[css]', '[2001:db8::2]:22'])
    expect(withoutBrackets(host)).toBe(host);
});
