import { describe, expect, it } from 'vitest';
import { judge, sameToken, type Asked } from '../../../daemon/dashboard/guard.ts';

const token = 'a'.repeat(43);
const good: Asked = {
  method: 'POST',
  path: '/api/cancel',
  host: '127.0.0.1:4321',
  origin: 'http://127.0.0.1:4321',
  site: 'same-origin',
  authorization: `Bearer ${token}`,
  contentType: 'application/json',
};
const verdict = (more: Partial<Asked>): string => {
  const judged = judge({ ...good, ...more }, token);
  return judged.kind === 'refuse' ? String(judged.status) : judged.kind;
};

describe('the guard of the web page', () => {
  it('lets the page itself and its calls in, by any name of this loopback and any forwarded port', () => {
    expect(judge(good, token)).toEqual({ kind: 'call', name: 'cancel' });
    const watch = { method: 'GET', path: '/api/watch', origin: undefined, contentType: undefined };
    expect(verdict(watch)).toBe('watch');
    const bare = { method: 'GET', path: '/', origin: undefined, authorization: undefined };
    expect(verdict({ ...bare, site: 'none' })).toBe('page');
    // A link in a chat or a mail.
    expect(verdict({ ...bare, site: 'cross-site' })).toBe('page');
    for (const host of ['localhost:9000', 'LOCALHOST', '[::1]:80', '127.0.0.1'])
      expect(verdict({ host, origin: `http://${host}` })).toBe('call');
  });

  it.each([
    ['a name that was made to lead here', { host: 'evil.example:4321' }, '403'],
    ['a name that only begins like ours', { host: 'localhost.evil.example' }, '403'],
    ['no host', { host: undefined }, '403'],
    ['another site', { origin: 'http://evil.example' }, '403'],
    ['another port of this machine', { origin: 'http://127.0.0.1:8080' }, '403'],
    ['a page without an origin (a file, a sandbox)', { origin: 'null' }, '403'],
    ['a site that the browser calls another', { origin: undefined, site: 'cross-site' }, '403'],
    ['another port that it calls the same site', { origin: undefined, site: 'same-site' }, '403'],
    ['no token', { authorization: undefined }, '401'],
    ['a wrong token', { authorization: `Bearer ${'b'.repeat(43)}` }, '401'],
    ['the beginning of the token', { authorization: `Bearer ${token.slice(1)}` }, '401'],
    ['a token in another scheme', { authorization: `Basic ${token}` }, '401'],
    ['an empty token', { authorization: 'Bearer ' }, '401'],
    ['a call by GET', { method: 'GET' }, '405'],
    ['a page by POST', { path: '/' }, '405'],
    ['the stream by POST', { path: '/api/watch' }, '405'],
    ['a form of another site', { contentType: 'text/plain' }, '415'],
    ['a path of the file system', { path: '/../etc/passwd' }, '404'],
    ['a path with a query', { path: '/?x' }, '404'],
  ])('refuses %s', (_, more, expected) => {
    expect(verdict(more)).toBe(expected);
  });

  it('compares tokens of whatever lengths', () => {
    expect(sameToken(token, token)).toBe(true);
    for (const other of ['', 'a', `${token}a`, 'é']) expect(sameToken(other, token)).toBe(false);
  });
});
