/**
 * Who may ask the page's server what. It listens on 127.0.0.1, which every account of this machine and every site in a
 * browser here can reach, so:
 * - Host must be a name of this machine's loopback: a foreign name that was made to resolve to 127.0.0.1 (DNS rebinding)
 *   is refused. Its port may be another one, since `ssh -L` forwards are.
 * - Origin, where the browser sends one, must be that of the page itself, and Sec-Fetch-Site says the same (CSRF).
 * - Everything but the bare page, which holds nothing, takes the token in `Authorization`, which no foreign site can send.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

/** Of a request, as it came. */
export type Asked = {
  readonly method: string;
  readonly path: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly site: string | undefined;
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
};

export type Verdict =
  | { readonly kind: 'page' }
  | { readonly kind: 'watch' }
  | { readonly kind: 'call'; readonly name: string }
  | { readonly kind: 'refuse'; readonly status: number; readonly reason: string };

const loopback = /^(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?$/i;

const refuse = (status: number, reason: string): Verdict => ({ kind: 'refuse', status, reason });

/** Equal in a time that does not tell how much of it is. */
export function sameToken(given: string, token: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text, 'utf8').digest();
  return timingSafeEqual(digest(given), digest(token));
}

function bearer(authorization: string | undefined): string {
  return /^Bearer (\S+)$/.exec(authorization ?? '')?.[1] ?? '';
}

/** Why the request does not come from our own page, whatever it asks. */
function foreign({ host, origin, site, path }: Asked): string | undefined {
  if (host === undefined || !loopback.test(host)) return 'this host is not served';
  if (origin !== undefined && origin.toLowerCase() !== `http://${host.toLowerCase()}`)
    return 'this origin is not served';
  // A link that is followed from another program or page leads to the bare page, and nowhere else.
  const linked = path === '/' || path === '';
  if (site !== undefined && site !== 'same-origin' && site !== 'none' && !linked)
    return 'another site asks';
  return undefined;
}

export function judge(asked: Asked, token: string): Verdict {
  const { method, path, authorization, contentType } = asked;
  const reason = foreign(asked);
  if (reason !== undefined) return refuse(403, reason);
  if (path === '/') return method === 'GET' ? { kind: 'page' } : refuse(405, 'GET is served here');
  const name = /^\/api\/([a-z]+)$/.exec(path)?.[1];
  if (name === undefined) return refuse(404, 'there is nothing here');
  if (!sameToken(bearer(authorization), token))
    return refuse(401, 'the token is missing or wrong: rch dashboard prints the link');
  if (name === 'watch')
    return method === 'GET' ? { kind: 'watch' } : refuse(405, 'GET is served here');
  if (method !== 'POST') return refuse(405, 'POST is served here');
  if (contentType !== 'application/json') return refuse(415, 'application/json is taken here');
  return { kind: 'call', name };
}
