/** The process of the web page, forked when somebody asks for it: the front carries no HTTP, and none of its memory. */
import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { Layout } from '../../src/base/layout.ts';
import { frugalNode } from '../../src/base/memory.ts';
import { fail, ok, type Result } from '../../src/base/result.ts';
import { nodeOf } from '../../src/client/daemon-process.ts';
import { dashboardToFront, type DashboardToFront } from '../../src/protocol/ipc.ts';

/** ms for it to listen, and to end when it is told to. */
const START = 15_000;
const END = 3000;

type Page = { readonly url: string; readonly was: boolean };

type Running = {
  readonly child: ChildProcess;
  readonly told: Promise<DashboardToFront>;
  readonly gone: Promise<void>;
};

export class DashboardProcess {
  readonly #layout: Layout;
  readonly #complain: (line: string) => void;
  #running: Running | undefined;

  constructor(layout: Layout, complain: (line: string) => void) {
    this.#layout = layout;
    this.#complain = complain;
  }

  /** The link to the page, which is started on `port` (0: any) where it is not up; fails where it is up on another. */
  async open(port: number): Promise<Result<Page>> {
    const was = this.#running !== undefined;
    const running = this.#running ?? this.#start(port);
    this.#running = running;
    const told = await running.told;
    if (told.type !== 'listening') {
      await this.stop();
      return fail(`the page could not be started: ${told.reason}`, 'rch daemon logs');
    }
    const open = new URL(told.url).port;
    if (port === 0 || port === Number(open)) return ok({ url: told.url, was });
    return fail(`the page is open on port ${open} already`, 'first: rch dashboard --stop');
  }

  /** Settles when it is gone. */
  async stop(): Promise<Result<Page>> {
    const running = this.#running;
    if (running === undefined) return ok({ url: '', was: false });
    running.child.kill('SIGTERM');
    const timer = setTimeout(() => running.child.kill('SIGKILL'), END);
    await running.gone;
    clearTimeout(timer);
    return ok({ url: '', was: true });
  }

  #start(port: number): Running {
    const child = fork(join(this.#layout.lib, 'dashboard.mjs'), [String(port)], {
      execPath: nodeOf(this.#layout),
      execArgv: [...frugalNode],
      cwd: '/',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      serialization: 'json',
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n')) if (line !== '') this.#complain(line);
    });
    const gone = new Promise<void>((resolve) => {
      const end = (): void => {
        if (this.#running?.child === child) this.#running = undefined;
        resolve();
      };
      child.once('exit', end);
      child.once('error', (error) => {
        this.#complain(error.message);
        if (child.pid === undefined) end();
      });
    });
    return { child, gone, told: firstWord(child, gone) };
  }
}

function firstWord(child: ChildProcess, gone: Promise<void>): Promise<DashboardToFront> {
  return new Promise((resolve) => {
    const failed = (reason: string): void => {
      resolve({ type: 'failed', reason });
    };
    const late = setTimeout(() => {
      failed('it did not listen in time');
    }, START);
    child.on('message', (value: unknown) => {
      const message = dashboardToFront.safeParse(value);
      if (message.success) resolve(message.data);
    });
    void gone.then(() => {
      clearTimeout(late);
      failed('it ended at once');
    });
    child.once('message', () => {
      clearTimeout(late);
    });
  });
}
