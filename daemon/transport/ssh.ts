/** The ssh transport: one ssh2 connection a worker, through jump hosts where ssh_config names them; a channel a stream. */
import { connect as connectTcp, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import ssh2 from 'ssh2';
import type { Client, ClientChannel } from 'ssh2';
import type { Layout } from '../../src/base/layout.ts';
import { withPort } from '../../src/base/place.ts';
import { fail, messageOf, ok, type Failure, type Result } from '../../src/base/result.ts';
import { within } from './deadline.ts';
import { algorithmsFor, judge, knownKeys, refusal, type KnownKey } from './host-keys.ts';
import { offersFor, type Offers } from './identities.ts';
import { shellCommand } from './quote.ts';
import type { SshSettings } from './ssh-settings.ts';
import { tailOf } from './tail.ts';
import type { Reach, RemoteScript, ScriptEnd } from './transport.ts';
import { WorkerStream } from './worker-stream.ts';

/** A lost link is noticed after about 40 s without a sign. */
const KEEPALIVE_MS = 10_000;
const KEEPALIVE_MISSES = 3;
/** For the worker to open a channel. */
const CHANNEL_MS = 15_000;
/** For the worker to tell how a script ended whose stream was closed here. */
const END_MS = 5000;

/** AES-GCM first: Node's OpenSSL does it in hardware, while the rest is 2 to 8 times slower. */
const CIPHERS = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
  'chacha20-poly1305@openssh.com',
];
const HOST_KEY_TYPES = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
];

/** One host on the way, with all that is needed to enter it. */
export type Hop = {
  readonly settings: SshSettings;
  readonly known: readonly KnownKey[];
  readonly offers: Offers;
};

export type SshLimits = { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined };

/** `beyond`: what a host asks for that ssh2 cannot do, where that is why. */
export type SshFailure = Failure & { readonly beyond?: string };

/** What a host shows: called with its key, false refuses. */
export type KeyCheck = (blob: Buffer) => boolean;

export async function prepareHop(settings: SshSettings, layout: Layout): Promise<Result<Hop>> {
  const known = await knownKeys(settings, layout);
  if (!known.ok) return known;
  const offers = await offersFor(settings);
  return offers.ok ? ok({ settings, known: known.value, offers: offers.value }) : offers;
}

/** Why a TCP connection could not be made, in the user's words. */
export function networkFailure(error: NodeJS.ErrnoException, settings: SshSettings): Result<never> {
  const place = withPort(settings.host, settings.port);
  switch (error.code ?? '') {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return fail(
        `the name ${settings.host} cannot be resolved`,
        `check the host of this worker, and: getent hosts ${settings.host}`,
      );
    case 'ECONNREFUSED':
      return fail(`${place} refuses connections`, 'is sshd running there, and is this its port?');
    case 'ETIMEDOUT':
      return fail(
        `${place} does not answer`,
        'is the machine on, and does a firewall let us through?',
      );
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return fail(`there is no way to ${place} (${error.code})`, 'check the network or the VPN');
    case 'ECONNRESET':
    case 'EPIPE':
      return fail(`${place} closed the connection before it was set up`);
    default:
      return fail(`the connection to ${place} failed: ${error.message}`);
  }
}

function tcp(settings: SshSettings, limits: SshLimits): Promise<Result<Socket>> {
  const socket = connectTcp({ host: settings.host, port: settings.port, noDelay: true });
  const connected = new Promise<Result<Socket>>((resolve) => {
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(ok(socket));
    });
    socket.once('error', (error) => {
      resolve(networkFailure(error, settings));
    });
  });
  return within(
    connected,
    { ms: limits.timeoutMs, signal: limits.signal },
    `${withPort(settings.host, settings.port)} does not answer`,
  ).then((result) => {
    if (!result.ok) {
      socket.on('error', () => undefined);
      socket.destroy();
    }
    return result;
  });
}

function authenticationFailure(hop: Hop, tried: readonly string[]): Result<never> {
  const { settings, offers } = hop;
  const keys = tried.length === 0 ? 'there was no key to try' : `tried ${tried.join(', ')}`;
  const notes = offers.notes.length === 0 ? '' : `; ${offers.notes.join('; ')}`;
  return fail(
    `${settings.name} lets no key of ours in as ${settings.user}: ${keys}${notes}`,
    [
      ...offers.mends,
      `ssh-copy-id ${settings.user}@${settings.name}, or set identity_file for this worker`,
    ].join('; or '),
  );
}

type SshError = Error & { readonly level?: string; readonly code?: string };

/** `Handshake failed: no matching key exchange algorithm`, and of each other kind alike (ssh2, lib/protocol/kex.js). */
const NOTHING_IN_COMMON = /no matching (.*)$/;

function setupFailure(error: SshError, settings: SshSettings): Result<never, SshFailure> {
  const beyond = NOTHING_IN_COMMON.exec(error.message)?.[1];
  return {
    ok: false,
    failure: {
      reason: `SSH with ${settings.name} failed: ${error.message}`,
      next: `try: ssh -v -p ${settings.port} -l ${settings.user} -- ${settings.name}`,
      ...(beyond === undefined ? {} : { beyond }),
    },
  };
}

/** Resolves when `client` has logged in, or with why it did not. */
function loggedIn(
  client: Client,
  hop: Hop,
  tried: readonly string[],
): Promise<Result<Client, SshFailure>> {
  const { settings } = hop;
  return new Promise((resolve) => {
    client.on('ready', () => {
      resolve(ok(client));
    });
    client.on('error', (error: SshError) => {
      // An agent that fails is passed over; ssh2 goes on with the next method.
      if (error.level === 'agent') return;
      if (error.level === 'client-authentication') resolve(authenticationFailure(hop, tried));
      else if (error.level === 'client-socket') resolve(networkFailure(error, settings));
      else resolve(setupFailure(error, settings));
    });
    client.on('close', () => {
      const early = `${withPort(settings.host, settings.port)} closed the connection while it was being set up`;
      resolve(
        tried.length > 1
          ? authenticationFailure(hop, tried)
          : fail(early, 'is that port an SSH server, and does it admit us?'),
      );
    });
  });
}

/** As ssh does: first the kinds of key we know of the host, else it would show another and seem changed. */
function hostKeyAlgorithms(known: readonly KnownKey[]): string[] {
  const types = known.filter((key) => key.marker === 'none').map((key) => key.type);
  const usable = types.filter((type) => HOST_KEY_TYPES.includes(type));
  return [...new Set([...usable, ...HOST_KEY_TYPES])].flatMap(algorithmsFor);
}

/** Makes an SSH session over `socket`. `check` sees the host's key. */
async function session(
  hop: Hop,
  socket: Duplex,
  limits: SshLimits,
  check: KeyCheck,
): Promise<Result<Client, SshFailure>> {
  const { settings, known, offers } = hop;
  const client = new ssh2.Client();
  const tried: string[] = [];
  const queue = [...offers.offers];
  const refused: Result<never>[] = [];
  const made = loggedIn(client, hop, tried);
  client.connect({
    sock: socket,
    username: settings.user,
    readyTimeout: 0,
    keepaliveInterval: KEEPALIVE_MS,
    keepaliveCountMax: KEEPALIVE_MISSES,
    algorithms: { cipher: CIPHERS as never, serverHostKey: hostKeyAlgorithms(known) as never },
    hostVerifier: (blob: Buffer) => {
      const verdict = judge(known, blob);
      const wanted = check(blob);
      if (verdict.kind !== 'known') refused.push(refusal(verdict, settings, blob));
      return wanted && verdict.kind === 'known';
    },
    authHandler: (_left, _partial, next) => {
      const offer = queue.shift();
      if (offer !== undefined) tried.push(offer.label);
      next(offer === undefined ? (false as never) : offer.method);
    },
  });
  const late = `${settings.name} did not complete the SSH login within ${Math.round(limits.timeoutMs / 1000)} s`;
  const result = await within(made, { ms: limits.timeoutMs, signal: limits.signal }, late);
  client.on('error', () => undefined);
  if (!result.ok) client.destroy();
  return refused[0] ?? result;
}

function forward(client: Client, to: SshSettings, limits: SshLimits): Promise<Result<Duplex>> {
  const place = withPort(to.host, to.port);
  const opened = new Promise<Result<Duplex>>((resolve) => {
    client.forwardOut('127.0.0.1', 0, to.host, to.port, (error, channel) => {
      resolve(
        error === undefined
          ? ok(channel)
          : fail(`the jump host cannot reach ${place}: ${error.message}`),
      );
    });
  });
  return within(
    opened,
    { ms: limits.timeoutMs, signal: limits.signal },
    `the jump host did not reach ${place} in time`,
  );
}

/** The way through all hops to the last; on failure nothing stays open. `check` sees the last host's key. */
export async function openWay(
  hops: readonly Hop[],
  limits: SshLimits,
  check: KeyCheck = () => true,
): Promise<Result<readonly Client[], SshFailure>> {
  const clients: Client[] = [];
  const drop = (): void => {
    for (const client of clients.reverse()) client.destroy();
  };
  for (const [index, hop] of hops.entries()) {
    const before = clients.at(-1);
    const socket: Result<Duplex> =
      before === undefined
        ? await tcp(hop.settings, limits)
        : await forward(before, hop.settings, limits);
    const last = index === hops.length - 1;
    const client = socket.ok
      ? await session(hop, socket.value, limits, last ? check : () => true)
      : socket;
    if (!client.ok) {
      drop();
      return client;
    }
    clients.push(client.value);
  }
  return ok(clients);
}

class SshReach implements Reach {
  readonly striped = true;
  readonly closed: Promise<string>;
  readonly #clients: readonly Client[];
  readonly #client: Client;
  readonly #streams = new Set<WorkerStream>();
  #reason = 'the connection was closed here';

  constructor(clients: readonly Client[], client: Client) {
    this.#clients = clients;
    this.#client = client;
    client.on('error', (error) => {
      this.#reason =
        error.message === 'Keepalive timeout'
          ? 'the worker stopped answering (keepalive)'
          : error.message;
    });
    client.on('end', () => {
      this.#reason = 'the worker ended the connection';
    });
    this.closed = new Promise((resolve) => {
      client.on('close', () => {
        for (const stream of this.#streams) stream.finish(false);
        for (const each of this.#clients) each.destroy();
        resolve(this.#reason);
      });
    });
  }

  run(script: string): Promise<Result<RemoteScript>> {
    const opened = new Promise<Result<RemoteScript>>((resolve) => {
      try {
        this.#client.exec(shellCommand(script), (error, channel) => {
          resolve(
            error === undefined
              ? ok(this.#script(channel))
              : fail(
                  `the worker opened no channel: ${error.message}`,
                  'sshd allows MaxSessions channels on one connection; by default 10',
                ),
          );
        });
      } catch (thrown) {
        resolve(fail(`the connection is gone: ${messageOf(thrown)}`));
      }
      void this.closed.then((reason) => {
        resolve(fail(reason));
      });
    });
    return within(opened, { ms: CHANNEL_MS }, 'the worker opened no channel in time');
  }

  #script(channel: ClientChannel): RemoteScript {
    const stderr = tailOf(channel.stderr);
    const stream = new WorkerStream({
      source: channel,
      sink: channel,
      close: () => {
        this.#streams.delete(stream);
        channel.close();
      },
    });
    this.#streams.add(stream);
    const ended = new Promise<ScriptEnd>((resolve) => {
      let end: ScriptEnd = { code: undefined, signal: undefined };
      channel.on('exit', (code: number | null, signal?: string) => {
        end = { code: code ?? undefined, signal };
      });
      channel.on('close', () => {
        stream.finish(true);
        resolve(end);
      });
      stream.once('close', () => {
        setTimeout(resolve, END_MS, end).unref();
      });
    });
    return { stream, ended, stderr };
  }

  close(): void {
    for (const stream of this.#streams) stream.finish(false);
    for (const client of [...this.#clients].reverse()) client.destroy();
  }
}

/** Connects through the hops to the last one. */
export async function reachBySsh(
  hops: readonly Hop[],
  limits: SshLimits,
): Promise<Result<Reach, SshFailure>> {
  const clients = await openWay(hops, limits);
  if (!clients.ok) return clients;
  const last = clients.value.at(-1);
  return last === undefined
    ? fail('there is no host to connect to')
    : ok(new SshReach(clients.value, last));
}
