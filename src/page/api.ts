/** The page's calls to its server. The token came with the link and stays in this tab. */
import type { z } from 'zod';
import { controlMethods, failure } from '../protocol/methods.ts';
import { watchEvent, type WatchEvent } from '../protocol/watch.ts';

const KEPT = 'rch-token';
/** ms between two tries to get back. */
const AGAIN = 2000;

type Served = 'history' | 'why' | 'cancel' | 'order';
type Reply<M extends Served> = z.output<(typeof controlMethods)[M]['reply']>;

export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string };

/** Takes the token out of the address, so that it is neither copied with it nor kept by the browser. */
function takeToken(): string {
  const given = location.hash.slice(1);
  if (/^[\w-]{40,}$/.test(given)) {
    sessionStorage.setItem(KEPT, given);
    history.replaceState(null, '', location.pathname);
  }
  return sessionStorage.getItem(KEPT) ?? '';
}

const token = takeToken();
const authorization = { authorization: `Bearer ${token}` };

function reasonIn(value: unknown, status: number): string {
  const told = failure.safeParse(value);
  if (!told.success) return `the server answered ${status}`;
  const { reason, next } = told.data;
  return next === undefined ? reason : `${reason} (${next})`;
}

export async function call<M extends Served>(
  method: M,
  params: z.input<(typeof controlMethods)[M]['params']>,
): Promise<Answer<Reply<M>>> {
  try {
    const response = await fetch(`/api/${method}`, {
      method: 'POST',
      headers: { ...authorization, 'content-type': 'application/json' },
      body: JSON.stringify(params),
    });
    const value: unknown = await response.json();
    if (!response.ok) return { ok: false, reason: reasonIn(value, response.status) };
    const reply = controlMethods[method].reply.safeParse(value);
    if (!reply.success) return { ok: false, reason: 'the answer is not understood' };
    return { ok: true, value: reply.data as Reply<M> };
  } catch {
    return { ok: false, reason: 'the page has lost its server: run rch dashboard again' };
  }
}

export type Listener = {
  readonly event: (event: WatchEvent) => void;
  readonly connected: () => void;
  readonly lost: (reason: string) => void;
};

async function listen(listener: Listener): Promise<boolean> {
  const response = await fetch('/api/watch', { headers: authorization });
  if (response.status === 401) {
    listener.lost('this link is no longer good: run rch dashboard for a new one');
    return false;
  }
  if (!response.ok || response.body === null) throw new Error('no stream');
  listener.connected();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return true;
    const lines = (rest + value).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const event = watchEvent.safeParse(JSON.parse(line));
      if (event.success) listener.event(event.data);
    }
  }
}

/** Listens for as long as the page is open, and comes back when the connection breaks. */
export async function follow(listener: Listener): Promise<void> {
  for (;;) {
    try {
      if (!(await listen(listener))) return;
    } catch {
      // Said below.
    }
    listener.lost('connection lost, trying again (rch dashboard starts the page anew)');
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
}
