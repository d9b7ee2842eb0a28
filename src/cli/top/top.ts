/** `rch top`: a live view of workers and commands, until the user has seen enough. */
import { setTimeout as delay } from 'node:timers/promises';
import { TextDecoder } from 'node:util';
import { createColors } from 'picocolors';
import { fail, ok, type Result } from '../../base/result.ts';
import { TerminalText } from '../../base/terminal-text.ts';
import { DaemonClient } from '../../client/daemon-client.ts';
import { ensureDaemon } from '../../client/daemon-process.ts';
import { afterEvent, watchEvent, type WatchEvent } from '../../protocol/watch.ts';
import { whyText } from '../render/record.ts';
import type { Context, Outcome } from '../report.ts';
import { FullScreen } from './full-screen.ts';
import { keysIn } from './keys.ts';
import { firstModel, pressed, type Act, type Model, type Order } from './model.ts';
import { screenOf } from './view.ts';

/** ms between two drawings at the least, and for times to go on. */
const DRAW = 60;
const SECOND = 1000;
/** ms between two looks for a daemon that is gone, and for it to answer. */
const LOOK = 500;
const PATIENCE = 30_000;
/** Lines of output kept of a job, and jobs whose output is kept. */
const LINES = 2000;
const MOST_OUTPUTS = 64;

/** Lines that are cut to the window hold no sequences. */
const noColors = createColors(false);

type Written = { readonly text: TerminalText; readonly decoder: TextDecoder };

class Top {
  readonly #context: Context;
  readonly #screen: FullScreen;
  readonly #outputs = new Map<string, Written>();
  readonly #over = new AbortController();
  #client: DaemonClient;
  #model: Model = firstModel;
  #drawing: NodeJS.Timeout | undefined;
  #quit: () => void = () => undefined;

  constructor(context: Context, client: DaemonClient) {
    this.#context = context;
    this.#client = client;
    this.#screen = new FullScreen(process.stdin, process.stdout, {
      typed: (text) => {
        for (const key of keysIn(text)) this.#press(key);
      },
      resized: () => {
        this.#draw();
      },
    });
  }

  /** Settles when the user quits. */
  async run(): Promise<void> {
    this.#screen.open();
    const clock = setInterval(() => {
      this.#soon();
    }, SECOND);
    try {
      this.#draw();
      const quit = new Promise<void>((resolve) => {
        this.#quit = resolve;
      });
      void this.#follow();
      await quit;
    } finally {
      clearInterval(clock);
      clearTimeout(this.#drawing);
      this.#over.abort();
      this.#screen.close();
      this.#client.close();
    }
  }

  /** Watches, and looks for the next daemon when one goes. */
  async #follow(): Promise<void> {
    for (;;) {
      await this.#client.call(
        'watch',
        { recent: 100 },
        {
          onEvent: (event) => {
            const told = watchEvent.safeParse(event);
            if (told.success) this.#heard(told.data);
          },
        },
      );
      this.#client.close();
      if (this.#over.signal.aborted) return;
      this.#change({ ...this.#model, live: false });
      const next = await this.#nextDaemon();
      if (next === undefined) return;
      this.#client = next;
      this.#outputs.clear();
      this.#change({ ...this.#model, live: true });
    }
  }

  async #nextDaemon(): Promise<DaemonClient | undefined> {
    while (!this.#over.signal.aborted) {
      const client = await DaemonClient.connect(this.#context.layout);
      if (client.ok) return client.value;
      await delay(LOOK, undefined, { signal: this.#over.signal }).catch(() => undefined);
    }
    return undefined;
  }

  #heard(event: WatchEvent): void {
    if (event.type === 'output') this.#wrote(event);
    this.#change({ ...this.#model, watched: afterEvent(this.#model.watched, event, Date.now()) });
  }

  #wrote({ job, data, skipped }: Extract<WatchEvent, { type: 'output' }>): void {
    const written = this.#outputs.get(job) ?? {
      text: new TerminalText(LINES),
      decoder: new TextDecoder(),
    };
    if (skipped) written.text.skip();
    written.text.write(written.decoder.decode(Buffer.from(data, 'base64'), { stream: true }));
    this.#outputs.delete(job);
    this.#outputs.set(job, written);
    const [oldest] = this.#outputs.keys();
    if (this.#outputs.size > MOST_OUTPUTS && oldest !== undefined) this.#outputs.delete(oldest);
  }

  #press(key: string): void {
    const { model, act } = pressed(this.#model, key);
    this.#change(model);
    if (act !== undefined) this.#act(act);
  }

  #act(act: Act): void {
    switch (act.kind) {
      case 'quit':
        this.#quit();
        return;
      case 'suspend':
        this.#screen.suspend();
        return;
      case 'redraw':
        this.#screen.forget();
        this.#draw();
        return;
      case 'why':
        void this.#why(act.job);
        return;
      case 'cancel':
      case 'order':
        void this.#order(act);
        return;
    }
  }

  async #why(job: string): Promise<void> {
    const reply = await this.#client.call('why', { job }, { timeoutMs: PATIENCE });
    if (!reply.ok) {
      this.#change({ ...this.#model, message: reply.failure.reason });
      return;
    }
    const { record, details } = reply.value;
    const plain = { ...this.#context.look, colors: noColors };
    const lines = whyText(record, details, plain).split('\n');
    this.#change({ ...this.#model, mode: { at: 'why', scroll: 0, lines } });
  }

  async #order(order: Order): Promise<void> {
    const said = await this.#carriedOut(order);
    const message = said.ok ? said.value : said.failure.reason;
    this.#change({ ...this.#model, message });
  }

  async #carriedOut(order: Order): Promise<Result<string>> {
    const client = this.#client;
    if (order.kind === 'cancel') {
      const reply = await client.call('cancel', { job: order.job }, { timeoutMs: PATIENCE });
      return reply.ok ? ok(`cancelled ${order.command}`) : reply;
    }
    const { worker, mandate } = order;
    const reply = await client.call('order', { worker, mandate }, { timeoutMs: PATIENCE });
    if (!reply.ok) return reply;
    return ok(mandate === 'enabled' ? `${worker} takes commands` : `${worker} is draining`);
  }

  #change(model: Model): void {
    this.#model = model;
    this.#soon();
  }

  #soon(): void {
    this.#drawing ??= setTimeout(() => {
      this.#draw();
    }, DRAW);
  }

  #draw(): void {
    clearTimeout(this.#drawing);
    this.#drawing = undefined;
    const { look, env } = this.#context;
    const paper = { ...this.#screen.size, colors: look.colors, unicode: isUnicode(env) };
    const outputs = new Map([...this.#outputs].map(([job, { text }]) => [job, text]));
    const now = Date.now() + this.#model.watched.ahead;
    this.#screen.draw(screenOf({ model: this.#model, paper, now, outputs }));
  }
}

/** locale(7): the first of these that is set rules. */
function isUnicode(env: Context['env']): boolean {
  const names = [env['LC_ALL'], env['LC_CTYPE'], env['LANG']];
  return /utf-?8/i.test(names.find((value) => value !== undefined && value !== '') ?? '');
}

export async function top(context: Context): Promise<Outcome> {
  const { layout, env, json } = context;
  const terminal = process.stdin.isTTY && process.stdout.isTTY && env['TERM'] !== 'dumb';
  if (!terminal || json)
    return fail('rch top is a view for a terminal', 'rch status --json tells the same to a script');
  const client = await ensureDaemon(layout);
  if (!client.ok) return client;
  await new Top(context, client.value).run();
  return ok({ facts: null, text: () => '' });
}
