/** One worker's agent as its link sees it: a connection that comes back by itself, requests, blobs, the clock. */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { nowNs } from '../../src/base/clock.ts';
import { fail, messageOf, ok, type Failure, type Result } from '../../src/base/result.ts';
import { AGENT_PROTOCOL, agentMessages, type AgentMessage } from '../../src/protocol/agent.ts';
import { encode } from '../../src/protocol/codec.ts';
import { agentFacts, type AgentFacts, type HelloFacts } from '../../src/protocol/facts.ts';
import { FrameReader } from '../../src/protocol/frames.ts';
import { writeStriped } from '../../src/protocol/stripes.ts';
import type { AgentConnection } from '../transport/transport.ts';
import { ClockEstimate } from './clock-estimate.ts';
import { holdBack } from './hold-back.ts';
import { Liveness } from './liveness.ts';
import { RequestLife } from './request-life.ts';

/** Questions after the agent's clock and life without a sign of it that end the connection. */
const MISSED_BEATS = 3;
/** First and longest wait between attempts to connect, ms. */
const BACKOFF_MS = 500;
const BACKOFF_LIMIT_MS = 30_000;
/** How long the agent may take to hear the last words of a link, ms. */
const FAREWELL_MS = 1000;
/** For `welcome` after the stream stands, ms. */
const WELCOME_MS = 15_000;
/**
 * An agent that is alive, and neither answers a request nor sends or takes anything of it for so long, will not answer
 * it, ms. What takes longer than any of our own work: a huge tree on a slow disk.
 */
const STALL_MS = 15 * 60_000;
/**
 * Bulk streams on a long way: an SSH channel has at most 2 MiB on its way (CHAN_SES_WINDOW_DEFAULT of OpenSSH, MAX_WINDOW of
 * ssh2), which at so many ms a round trip is what one carries on a short way. sshd opens ten (MaxSessions).
 */
const MOST_BULK = 4;
const BULK_MS = 10;

export type Answer = Extract<AgentMessage, { request: number }>;

/** Why a request failed; `kind` is the agent's word for it (src/protocol/jobs.ts), undefined when it never answered. */
export type RequestFailure = Failure & { readonly kind?: string };

export type ClientEvents = {
  readonly connecting: (attempt: number) => void;
  readonly connected: (facts: AgentFacts) => void;
  readonly disconnected: (failure: Failure) => void;
  /** Questions after its life since it last gave a sign of it; 0 once it does again. */
  readonly silent: (missed: number) => void;
  /** One of the clocks was set, by so many ns; 0: they moved against each other. */
  readonly clockSet: (step: bigint) => void;
  /** Everything that answers no request. */
  readonly message: (message: AgentMessage) => void;
  /** A content; its stream is read on once the promise resolves. */
  readonly blob: (blob: Extract<AgentMessage, { type: 'blob' }>) => Promise<void>;
};

export type ClientDependencies = {
  readonly connect: () => Promise<Result<AgentConnection>>;
  readonly hello: HelloFacts;
  readonly version: string;
  /** Between two questions after the agent's clock and life, ms. */
  readonly heartbeatMs: number;
  readonly events: ClientEvents;
  /** STALL_MS, for tests. */
  readonly stallMs?: number;
};

type Pending = {
  readonly life: RequestLife;
  readonly answered: (answer: Result<Answer, RequestFailure>) => void;
  /** An answer that does not end the request. */
  readonly partial: ((answer: Answer) => boolean) | undefined;
};

/** What stands while connected. */
type Session = {
  readonly connection: AgentConnection;
  readonly control: Duplex;
  readonly bulk: Duplex[];
  /** Asks after the agent's life for as long as the session stands. */
  beat: NodeJS.Timeout | undefined;
  readonly life: Liveness;
};

export class AgentClient {
  readonly clock = new ClockEstimate();
  readonly #needs: ClientDependencies;
  readonly #pending = new Map<number, Pending>();
  readonly #id = randomBytes(16);
  #session: Session | undefined;
  #attempt = 0;
  #nextRequest = 1;
  #stopped = false;
  /** The agent is of another version than ours. */
  #foreign = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(needs: ClientDependencies) {
    this.#needs = needs;
  }

  get connected(): boolean {
    return this.#session !== undefined;
  }

  /** Whether the agent is of another version: it was there, and had jobs, when we came. */
  get foreign(): boolean {
    return this.connected && this.#foreign;
  }

  /** Whether nothing was asked that has no answer yet. */
  get quiet(): boolean {
    return this.#pending.size === 0;
  }

  /** Gives up the connection for a new one. */
  renew(reason: string): void {
    if (this.#session === undefined || this.#stopped) return;
    this.#drop({ reason });
    this.#needs.events.disconnected({ reason });
    void this.#connect();
  }

  /** Connects, and goes on connecting until `stop`. */
  start(): void {
    void this.#connect();
  }

  /** Connects at once if it was waiting to. */
  hurry(): void {
    if (this.#retry === undefined) return;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    void this.#connect();
  }

  /** Closes the connection once the agent has heard all that was said (the end of a job), or will not. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, FAREWELL_MS);
    });
    await Promise.race([this.request((request) => ({ type: 'ping', request })), late]);
    clearTimeout(timer);
    this.#drop({ reason: 'the link was stopped' });
  }

  /** Sends on the control stream; false when there is none. `written`: it is on its way. */
  send(message: AgentMessage, written?: () => void): boolean {
    if (this.#session === undefined) return false;
    this.#session.control.write(encode(agentMessages, message), written);
    return true;
  }

  /** Sends a blob beside the control stream and waits while the way is full. */
  async sendBlob(message: Extract<AgentMessage, { type: 'blob' }>): Promise<Result<undefined>> {
    const session = this.#session;
    const { bulk = [], control } = session ?? {};
    const streams = bulk.length > 0 ? [...bulk] : control === undefined ? [] : [control];
    if (!(await writeStriped(streams, encode(agentMessages, message))))
      return fail('the connection to the worker was lost');
    this.#passed(message.hash);
    return ok(undefined);
  }

  /**
   * Sends a request and gives its answer; `refused` is a failure, and so is the end of the connection.
   * `partial` sees each answer first and keeps the request open by returning true.
   */
  request(
    build: (request: number) => AgentMessage | readonly AgentMessage[],
    partial?: (answer: Answer) => boolean,
  ): Promise<Result<Answer, RequestFailure>> {
    const request = this.#nextRequest++;
    const built = build(request);
    return new Promise((resolve) => {
      if (this.#session === undefined) {
        resolve(fail('there is no connection to the worker'));
        return;
      }
      const life = new RequestLife();
      this.#pending.set(request, { life, answered: resolve, partial });
      const messages = Array.isArray(built) ? (built as AgentMessage[]) : [built as AgentMessage];
      for (const message of messages) {
        life.says(message);
        this.send(message, () => {
          life.moved();
        });
      }
    });
  }

  async #connect(): Promise<void> {
    this.#retry = undefined;
    this.#attempt += 1;
    this.#needs.events.connecting(this.#attempt);
    const result = await this.#open().catch((thrown: unknown) => fail(messageOf(thrown)));
    if (result.ok) return;
    if (this.#stopped) return;
    this.#needs.events.disconnected(result.failure);
    this.#retryLater();
  }

  #retryLater(): void {
    if (this.#stopped || this.#retry !== undefined) return;
    const base = Math.min(BACKOFF_MS * 2 ** Math.min(this.#attempt, 10), BACKOFF_LIMIT_MS);
    const wait = base / 2 + (Math.random() * base) / 2;
    this.#retry = setTimeout(() => void this.#connect(), wait);
  }

  async #open(): Promise<Result<undefined>> {
    const connected = await this.#needs.connect();
    if (!connected.ok) return connected;
    const connection = connected.value;
    const control = await connection.openStream();
    if (!control.ok) {
      connection.close();
      return control;
    }
    const session: Session = {
      connection,
      control: control.value,
      bulk: [],
      beat: undefined,
      life: new Liveness(this.#needs.heartbeatMs, performance.now()),
    };
    const welcome = await this.#greet(session);
    if (!welcome.ok || this.#stopped) {
      const failed = welcome.ok ? fail('the link was stopped') : welcome;
      this.#drop(failed.failure);
      return failed;
    }
    await this.#openBulk(session);
    // It was lost meanwhile, and that was told: all that follows is the next one's.
    if (this.#session !== session) return ok(undefined);
    session.beat = setInterval(() => {
      this.#heartbeat(session);
    }, this.#needs.heartbeatMs);
    const roundTrip = await this.#measureClock();
    if (this.#session !== session) return ok(undefined);
    this.#attempt = 0;
    this.#foreign = welcome.value.agent !== connection.agent;
    this.#needs.events.connected(welcome.value);
    void this.#openMoreBulk(session, roundTrip);
    return ok(undefined);
  }

  /** False when there is no further stream to be had, or the session is over. */
  async #openBulk(session: Session): Promise<boolean> {
    const opened = await session.connection.openStream().catch(() => fail('it cannot be opened'));
    if (!opened.ok || this.#session !== session) return false;
    session.bulk.push(opened.value);
    this.#serve(session, opened.value);
    opened.value.write(this.#hello(true));
    return true;
  }

  /** As many as carry on this way what one does on a short one; agents of other versions take pieces from one alone. */
  async #openMoreBulk(session: Session, roundTrip: number): Promise<void> {
    if (!session.connection.striped || this.#foreign) return;
    const wanted = Math.min(MOST_BULK, Math.ceil(roundTrip / BULK_MS));
    while (session.bulk.length < wanted) if (!(await this.#openBulk(session))) return;
  }

  #hello(bulk: boolean): Buffer {
    return encode(agentMessages, {
      type: 'hello',
      protocol: AGENT_PROTOCOL,
      version: this.#needs.version,
      session: this.#id,
      bulk,
      json: Buffer.from(JSON.stringify(this.#needs.hello)),
    });
  }

  /** Says hello and waits for the welcome; from then on the stream is served. */
  async #greet(session: Session): Promise<Result<AgentFacts>> {
    const welcomed = new Promise<Result<AgentFacts>>((resolve) => {
      const timer = setTimeout(() => {
        resolve(fail('the agent did not answer in time'));
      }, WELCOME_MS);
      this.#serve(session, session.control, (result) => {
        clearTimeout(timer);
        resolve(result);
      });
    });
    this.#session = session;
    session.control.write(this.#hello(false));
    return welcomed;
  }

  #serve(session: Session, stream: Duplex, welcomed?: (facts: Result<AgentFacts>) => void): void {
    const hold = holdBack(stream);
    const reader = new FrameReader(agentMessages, { passing: agentMessages.blob.number });
    stream.on('data', (chunk: Buffer) => {
      const messages = reader.push(chunk);
      if (!messages.ok) {
        this.#lose(session, `the agent sent what is not a message: ${messages.failure.reason}`);
        return;
      }
      for (const message of messages.value) {
        if (message.type === 'welcome') welcomed?.(parseFacts(message.json));
        else if (message.type === 'blob') {
          this.#passed(message.hash);
          // The disk may be behind.
          hold(this.#needs.events.blob(message));
        } else this.#receive(message);
      }
    });
    const gone = (reason: string): void => {
      welcomed?.(fail(reason));
      this.#lose(session, reason);
    };
    stream.on('error', (error: Error) => {
      gone(error.message);
    });
    stream.on('close', () => {
      gone('the connection to the worker was closed');
    });
  }

  /** A piece of a content, either way. */
  #passed(hash: Buffer): void {
    for (const { life } of this.#pending.values()) life.passed(hash);
    this.#lives();
  }

  #lives(): void {
    if (this.#session?.life.heard(performance.now()) === true) this.#needs.events.silent(0);
  }

  /** Fails requests that the agent will not answer, though it lives. */
  #giveUpStalled(): void {
    const { stallMs = STALL_MS } = this.#needs;
    for (const [request, pending] of [...this.#pending]) {
      if (!pending.life.stands(stallMs)) continue;
      this.#pending.delete(request);
      pending.answered(fail(`the worker gave no answer in ${stallMs / 60_000} minutes`));
    }
  }

  #receive(message: AgentMessage): void {
    this.#lives();
    if (!('request' in message)) {
      this.#needs.events.message(message);
      return;
    }
    const pending = this.#pending.get(message.request);
    if (pending === undefined) return;
    pending.life.moved();
    pending.life.says(message);
    if (pending.partial?.(message) === true) return;
    this.#pending.delete(message.request);
    pending.answered(message.type === 'refused' ? refusal(message) : ok(message));
  }

  #lose(session: Session, reason: string): void {
    if (this.#session !== session) return;
    this.#drop({ reason });
    if (this.#stopped) return;
    this.#needs.events.disconnected({ reason });
    this.#retryLater();
  }

  #drop(failure: Failure): void {
    const session = this.#session;
    clearInterval(session?.beat);
    this.#session = undefined;
    this.#foreign = false;
    session?.connection.close();
    for (const pending of this.#pending.values()) pending.answered({ ok: false, failure });
    this.#pending.clear();
  }

  #heartbeat(session: Session): void {
    this.#giveUpStalled();
    const missed = session.life.missed(performance.now());
    if (missed >= MISSED_BEATS) {
      this.#lose(session, 'the worker stopped answering');
      return;
    }
    if (missed > 0) this.#needs.events.silent(missed);
    void this.#ping();
  }

  /** Gives the shortest round trip of this connection, ms. */
  async #measureClock(): Promise<number> {
    let shortest = Infinity;
    for (let round = 0; round < 4; round++) {
      const began = performance.now();
      if (!(await this.#ping())) return 0;
      shortest = Math.min(shortest, performance.now() - began);
    }
    return shortest;
  }

  async #ping(): Promise<boolean> {
    const sent = nowNs();
    const answer = await this.request((request) => ({ type: 'ping', request }));
    if (!answer.ok || answer.value.type !== 'pong') return false;
    const step = this.clock.add(sent, answer.value.now, nowNs());
    if (this.clock.moved() || step !== 0n) this.#needs.events.clockSet(step);
    return true;
  }
}

function refusal(
  message: Extract<AgentMessage, { type: 'refused' }>,
): Result<never, RequestFailure> {
  return { ok: false, failure: { reason: message.reason, kind: message.kind } };
}

function parseFacts(json: Buffer): Result<AgentFacts> {
  try {
    const parsed = agentFacts.safeParse(JSON.parse(json.toString('utf8')));
    return parsed.success ? ok(parsed.data) : fail(`the agent's facts: ${parsed.error.message}`);
  } catch (thrown) {
    return fail(`the agent's facts: ${messageOf(thrown)}`);
  }
}
