/** `rch dashboard`: has the daemon serve its web page on the loopback of this machine, and shows the way there. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Layout } from '../base/layout.ts';
import { ok, type Result } from '../base/result.ts';
import { DaemonClient } from '../client/daemon-client.ts';
import { ensureDaemon } from '../client/daemon-process.ts';
import { replaceFile } from '../config/replace-file.ts';
import type { Context, Outcome } from './report.ts';

/** ms for the page to be up. */
const PATIENCE = 30_000;

export type DashboardWish = {
  readonly open: boolean;
  readonly stop: boolean;
  /** 0: any. */
  readonly port: number;
};

const linkFile = ({ run }: Layout): string => join(run, 'dashboard.html');

/** A file for the user alone that leads to the link: every account here sees the arguments of a process. */
function writeLink(layout: Layout, url: string): Result<string> {
  const file = linkFile(layout);
  const html = `<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=${url}"><title>rch</title><a href="${url}">rch</a>\n`;
  const written = replaceFile(file, html, { mode: 0o600, always: true });
  return written.ok ? ok(pathToFileURL(file).href) : written;
}

/** Shows a link in the user's browser. */
async function openLink(layout: Layout, url: string): Promise<Result<undefined>> {
  const link = writeLink(layout, url);
  if (!link.ok) return link;
  const child = spawn('xdg-open', [link.value], { detached: true, stdio: 'ignore' });
  const failed = once(child, 'error').then(([error]) => error as Error);
  const begun = await Promise.race([once(child, 'spawn').then(() => undefined), failed]);
  child.unref();
  if (begun === undefined) return ok(undefined);
  return { ok: false, failure: { reason: `xdg-open cannot be started: ${begun.message}` } };
}

const hasDesktop = (env: Context['env']): boolean =>
  (env['DISPLAY'] ?? '') !== '' || (env['WAYLAND_DISPLAY'] ?? '') !== '';

/** What helps a user whose browser is on another machine than this one. */
function forwarding(url: string, env: Context['env']): string[] {
  if ((env['SSH_CONNECTION'] ?? '') === '') return [];
  const { port } = new URL(url);
  return ['', `from the machine you sit at: ssh -L ${port}:127.0.0.1:${port} THIS_MACHINE`];
}

async function stop({ layout }: Context): Promise<Outcome> {
  const client = await DaemonClient.connect(layout);
  if (!client.ok && client.failure.kind === 'absent')
    return ok({ facts: { running: false, was: false }, text: () => 'the page was not up' });
  if (!client.ok) return client;
  const reply = await client.value.call('dashboard', { action: 'stop' }, { timeoutMs: PATIENCE });
  client.value.close();
  if (!reply.ok) return reply;
  const { was } = reply.value;
  rmSync(linkFile(layout), { force: true });
  return ok({
    facts: { running: false, was },
    text: () => (was ? 'the page is gone' : 'the page was not up'),
  });
}

export async function dashboard(context: Context, wish: DashboardWish): Promise<Outcome> {
  if (wish.stop) return stop(context);
  const client = await ensureDaemon(context.layout);
  if (!client.ok) return client;
  const { port } = wish;
  const reply = await client.value.call(
    'dashboard',
    { action: 'open', port },
    { timeoutMs: PATIENCE },
  );
  client.value.close();
  if (!reply.ok) return reply;
  const { url, was } = reply.value;
  if (wish.open && hasDesktop(context.env)) {
    const opened = await openLink(context.layout, url);
    if (!opened.ok) context.note(opened.failure.reason);
  } else if (wish.open) context.note('there is no desktop here to open it on');
  return ok({
    facts: { running: true, url, was },
    text: () => [url, ...forwarding(url, context.env)].join('\n'),
  });
}
