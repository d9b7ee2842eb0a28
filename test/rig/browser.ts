/** A headless Chromium, spoken to by its own protocol (Chrome DevTools Protocol) over a pipe; it reaches nothing but this machine. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { z } from 'zod';
import { clear } from './processes.ts';

const flags = [
  '--headless=new',
  '--remote-debugging-pipe',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--no-default-browser-check',
  '--force-color-profile=srgb',
];

/** A message of the protocol: a reply by its id, or an event. */
const message = z.object({
  id: z.number().optional(),
  method: z.string().optional(),
  params: z.record(z.string(), z.unknown()).default({}),
  result: z.record(z.string(), z.unknown()).optional(),
  error: z.object({ message: z.string() }).optional(),
});
type Reply = Readonly<Record<string, unknown>>;

/** Keys by name, as Input.dispatchKeyEvent wants them. */
const keys = {
  Enter: { key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13, text: '\r' },
  Escape: { key: 'Escape', code: 'Escape', windowsVirtualKeyCode: 27 },
  Tab: { key: 'Tab', code: 'Tab', windowsVirtualKeyCode: 9 },
} as const;

/** Whether any process of the group is left. */
function isGroup(id: number): boolean {
  try {
    process.kill(-id, 0);
    return true;
  } catch {
    return false;
  }
}

export class Browser {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #waiting = new Map<number, (reply: z.infer<typeof message>) => void>();
  #next = 1;
  #session = '';
  #rest = '';
  /** Addresses that the page asked for. */
  readonly requests: string[] = [];
  /** What the page's console and its policy complain about. */
  readonly complaints: string[] = [];

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
    (child.stdio[4] as Readable).setEncoding('utf8').on('data', (text: string) => {
      const parts = (this.#rest + text).split('\0');
      this.#rest = parts.pop() ?? '';
      for (const part of parts) this.#heard(message.parse(JSON.parse(part)));
    });
    (child.stdio[3] as Writable).on('error', () => undefined);
  }

  /** With one empty page. */
  static async launch(): Promise<Browser> {
    const folder = mkdtempSync(join(tmpdir(), 'rch-browser-'));
    const child = spawn('chromium', [...flags, `--user-data-dir=${folder}`], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, HOME: folder, TMPDIR: folder },
    });
    const browser = new Browser(child, folder);
    const { targetId } = await browser.send('Target.createTarget', { url: 'about:blank' });
    const attached = await browser.send('Target.attachToTarget', { targetId, flatten: true });
    browser.#session = z.string().parse(attached['sessionId']);
    for (const domain of ['Page', 'Runtime', 'Network', 'Log'])
      await browser.send(`${domain}.enable`);
    return browser;
  }

  send(method: string, params: Reply = {}): Promise<Reply> {
    const id = this.#next++;
    const session = this.#session === '' ? {} : { sessionId: this.#session };
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) => {
        if (error === undefined) resolve(result ?? {});
        else reject(new Error(`${method}: ${error.message}`));
      });
      const text = JSON.stringify({ id, method, params, ...session });
      (this.#child.stdio[3] as Writable).write(`${text}\0`);
    });
  }

  async go(url: string): Promise<void> {
    await this.send('Page.navigate', { url });
  }

  /** The value of an expression, which must be JSON. */
  async value(expression: string): Promise<unknown> {
    const reply = await this.send('Runtime.evaluate', {
      ...{ expression, awaitPromise: true, returnByValue: true, userGesture: true },
    });
    const told = z
      .object({
        result: z.object({ value: z.unknown().optional() }),
        exceptionDetails: z.object({ exception: z.unknown().optional() }).optional(),
      })
      .parse(reply);
    if (told.exceptionDetails !== undefined)
      throw new Error(`${expression}: ${JSON.stringify(told.exceptionDetails)}`);
    return told.result.value;
  }

  /** Waits until an expression is true. */
  async sees(expression: string): Promise<void> {
    await expect
      .poll(() => this.value(`Boolean(${expression})`).catch(() => false), {
        ...{ timeout: 60_000, interval: 50, message: expression },
      })
      .toBe(true);
  }

  async press(name: keyof typeof keys): Promise<void> {
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', ...keys[name] });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...keys[name] });
  }

  /** Types into what has the focus. */
  async type(text: string): Promise<void> {
    await this.send('Input.insertText', { text });
  }

  async window(width: number, height: number): Promise<void> {
    await this.send('Emulation.setDeviceMetricsOverride', {
      ...{ width, height, deviceScaleFactor: 1, mobile: false },
    });
  }

  async scheme(value: 'light' | 'dark'): Promise<void> {
    const features = [{ name: 'prefers-color-scheme', value }];
    await this.send('Emulation.setEmulatedMedia', { features });
  }

  /** A picture of the whole page, PNG. */
  async picture(file: string): Promise<void> {
    const { data } = await this.send('Page.captureScreenshot', {
      ...{ format: 'png', captureBeyondViewport: true },
    });
    writeFileSync(file, Buffer.from(z.string().parse(data), 'base64'));
  }

  async close(): Promise<void> {
    const gone = once(this.#child, 'close');
    const { pid } = this.#child;
    if (pid === undefined) throw new Error('the browser never started');
    // With its children, which write into its folder as long as they live.
    process.kill(-pid, 'SIGKILL');
    await gone;
    for (let looks = 0; looks < 250 && isGroup(pid); looks++) await pause(20);
    clear(this.#folder);
  }

  #heard({ id, method, params, ...reply }: z.infer<typeof message>): void {
    if (id !== undefined) {
      this.#waiting.get(id)?.({ id, method, params, ...reply });
      this.#waiting.delete(id);
    } else if (method === 'Network.requestWillBeSent') {
      const { request } = z.object({ request: z.object({ url: z.string() }) }).parse(params);
      this.requests.push(request.url);
    } else if (method === 'Runtime.exceptionThrown' || method === 'Log.entryAdded')
      this.complaints.push(JSON.stringify(params));
  }
}
