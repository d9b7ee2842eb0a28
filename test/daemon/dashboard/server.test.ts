/** The process of the web page as the daemon starts it, asked by HTTP. */
import { cpSync } from 'node:fs';
import { request, type IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DashboardServer } from '../../../daemon/dashboard/server.ts';
import { fail } from '../../../src/base/result.ts';
import { top } from '../../shims/build.ts';
import { House, within } from '../front/rig.ts';

let house: House;
let url: URL;
let token: string;
beforeAll(async () => {
  house = new House();
  for (const name of ['dashboard.mjs', 'dashboard.html'])
    cpSync(join(top, 'dist', 'lib', name), join(house.layout.lib, name));
  await house.start();
  const reply = await house.call('dashboard', { action: 'open' });
  expect(reply.was).toBe(false);
  url = new URL(reply.url);
  token = url.hash.slice(1);
});
afterAll(async () => {
  await house.dispose();
});

type Reply = { status: number; headers: IncomingHttpHeaders; text: string };

function ask(path: string, more: Record<string, string> = {}, body?: string): Promise<Reply> {
  const headers = {
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    authorization: `Bearer ${token}`,
    ...more,
  };
  const method = body === undefined ? 'GET' : 'POST';
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: url.port, path, method, headers }, (reply) => {
      let text = '';
      reply.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      reply.on('error', reject);
      reply.on('end', () => {
        resolve({ status: reply.statusCode ?? 0, headers: reply.headers, text });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

describe('the web page', () => {
  it('is one file that may load nothing and be framed nowhere, and holds no key', async () => {
    const page = await ask('/', { authorization: '' });
    expect(page.status).toBe(200);
    const policy = String(page.headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    const nonce = /script-src 'nonce-([^']+)'/.exec(policy)?.[1] ?? '?';
    expect(page.text).toContain(`<script nonce="${nonce}">`);
    expect(page.text).not.toContain('{{');
    expect(page.text).not.toContain(token);
    expect(page.text).not.toMatch(/(src|href)="(https?:)?\/\//);
    const again = await ask('/');
    expect(again.text).not.toContain(nonce);
    expect(page.headers).toMatchObject({ 'cache-control': 'no-store', 'x-frame-options': 'DENY' });
    expect(page.headers['set-cookie']).toBeUndefined();
    expect(page.headers['access-control-allow-origin']).toBeUndefined();
  });

  it('tells and does nothing without the key, or for another site', async () => {
    for (const path of ['/api/watch', '/api/nothing'])
      expect((await ask(path, { authorization: '' })).status).toBe(401);
    expect((await ask('/api/history', { authorization: 'Bearer x' }, '{"n":1}')).status).toBe(401);
    expect((await ask('/api/history', { origin: 'http://evil.example' }, '{"n":1}')).status).toBe(
      403,
    );
    expect((await ask('/', { host: 'evil.example' })).status).toBe(403);
  });

  it('passes the calls that it serves to the daemon, checked, and no others', async () => {
    const history = await ask('/api/history', {}, '{"n":1}');
    expect([history.status, JSON.parse(history.text)]).toEqual([200, []]);
    expect((await ask('/api/history', {}, '{"n":-1}')).status).toBe(422);
    expect((await ask('/api/history', {}, 'no json')).status).toBe(400);
    expect((await ask('/api/history', {}, ' '.repeat(70_000))).status).toBe(400);
    expect((await ask('/api/stop', {}, '{"now":true}')).status).toBe(404);
    expect((await ask('/api/dashboard', {}, '{"action":"stop"}')).status).toBe(404);
    const cancel = await ask('/api/cancel', {}, '{"job":"abc"}');
    expect([cancel.status, cancel.text]).toEqual([422, expect.stringContaining('no command')]);
  });

  it('streams what goes on, an event a line', async () => {
    const line = await within(
      'an event',
      new Promise<string>((resolve, reject) => {
        const headers = { authorization: `Bearer ${token}` };
        const sent = request({ host: '127.0.0.1', port: url.port, path: '/api/watch', headers });
        sent.on('error', reject);
        sent.on('response', (reply) => {
          let text = '';
          reply.setEncoding('utf8').on('data', (chunk: string) => {
            text += chunk;
            if (!text.includes('\n')) return;
            sent.destroy();
            resolve(text.split('\n')[0] ?? '');
          });
          reply.on('error', () => undefined);
        });
        sent.end();
      }),
    );
    expect(JSON.parse(line)).toMatchObject({ type: 'state', state: { workers: [], jobs: [] } });
  });

  it('is opened once, ends when told, and has another key afterwards', async () => {
    const same = await house.call('dashboard', { action: 'open' });
    expect(same).toEqual({ url: url.href, was: true });
    const port = Number(url.port);
    expect(await house.call('dashboard', { action: 'open', port })).toEqual(same);
    await expect(house.call('dashboard', { action: 'open', port: port ^ 1 })).rejects.toThrow(
      `the page is open on port ${port} already`,
    );
    expect(await house.call('dashboard', { action: 'stop' })).toEqual({ url: '', was: true });
    expect(await house.call('dashboard', { action: 'stop' })).toEqual({ url: '', was: false });
    await expect(ask('/')).rejects.toThrow('ECONNREFUSED');
    const next = await house.call('dashboard', { action: 'open', port: Number(url.port) });
    expect(next.was).toBe(false);
    expect(new URL(next.url).port).toBe(url.port);
    expect(new URL(next.url).hash).not.toBe(url.hash);
    // What it is asked by from now on.
    url = new URL(next.url);
    token = url.hash.slice(1);
  });
});

it('says so when its port is taken, and goes when nobody uses it', async () => {
  let idle: () => void = () => undefined;
  const unused = new Promise<void>((resolve) => {
    idle = resolve;
  });
  const needs = {
    page: () => 'page',
    token: 't',
    connect: () => Promise.resolve(fail('no daemon')),
    idleMs: 20,
    onIdle: idle,
  };
  const server = await DashboardServer.listen(needs, 0);
  if (!server.ok) throw new Error(server.failure.reason);
  const taken = await DashboardServer.listen(needs, server.value.port);
  expect(taken).toMatchObject({ ok: false });
  expect((await fetch(`http://127.0.0.1:${server.value.port}/`)).status).toBe(200);
  await within('its end', unused);
  await server.value.close();
});
