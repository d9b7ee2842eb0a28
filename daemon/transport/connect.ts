/** Connects to a worker by the transport it is configured for, and sees to it that the agent is there. */
import type { Duplex } from 'node:stream';
import { fail, ok, type Failure, type Result } from '../../src/base/result.ts';
import type { WorkerConfig } from '../../src/config/worker-schema.ts';
import { AGENT_MAGIC } from '../../src/protocol/agent.ts';
import { agentParts, type AgentParts } from './agent-parts.ts';
import { bootstrap } from './bootstrap.ts';
import { CommandReach, commandArgv } from './command.ts';
import { reachEmbedded } from './embedded.ts';
import { shown, skipTo } from './marker.ts';
import { reachBySsh, type SshLimits } from './ssh.ts';
import type { SshTarget } from './ssh-settings.ts';
import { sshWay } from './ssh-way.ts';
import { StartExit } from './start-script.ts';
import { reachBySystemSsh } from './system-ssh.ts';
import type { AgentConnection, Reach, TransportNeeds } from './transport.ts';
import { BASE } from './worker-shell.ts';

/** For an agent to start on a slow machine and say its first bytes. */
const STREAM_MS = 30_000;

export function limitsOf(worker: WorkerConfig, needs: Pick<TransportNeeds, 'signal'>): SshLimits {
  return { timeoutMs: worker.sshTimeoutMs, signal: needs.signal };
}

/** Whom ssh is to reach for a worker with that host. */
export function targetOf(worker: WorkerConfig, host: string): SshTarget {
  return {
    host,
    port: worker.port,
    user: worker.user,
    identityFile: worker.identityFile,
  };
}

async function reachSsh(worker: WorkerConfig, needs: TransportNeeds): Promise<Result<Reach>> {
  if (worker.host === undefined) return fail(`the worker ${worker.id} has no host`);
  const target = targetOf(worker, worker.host);
  const way = await sshWay(target, needs);
  if (!way.ok) return way;
  const limits = limitsOf(worker, needs);
  if (way.value.by === 'ssh2') {
    const reached = await reachBySsh(way.value.hops, limits);
    // A host that offers no algorithm of ssh2's tells it only when it is asked.
    if (reached.ok || reached.failure.beyond === undefined) return reached;
  }
  return reachBySystemSsh(target, way.value.settings, needs, limits);
}

class Connection implements AgentConnection {
  readonly closed: Promise<string>;
  readonly agent: string;
  readonly striped: boolean;
  readonly #reach: Reach;
  readonly #script: string;
  #first: Duplex | undefined;

  constructor(reach: Reach, hash: string) {
    this.agent = hash;
    this.striped = reach.striped;
    this.#reach = reach;
    this.#script = `${BASE}; exec "$b/agents/${hash}/start" attach`;
    this.closed = reach.closed;
  }

  async openStream(): Promise<Result<Duplex>> {
    const first = this.#first;
    this.#first = undefined;
    if (first?.destroyed === false) return ok(first);
    const opened = await this.attach();
    return opened.ok ? opened : { ok: false, failure: opened.failure };
  }

  /** Keeps a stream that is open already for whoever asks next. */
  keep(stream: Duplex): void {
    this.#first = stream;
  }

  /** As openStream; the failure also has the exit code of `start`. */
  async attach(): Promise<Result<Duplex, Failure & { readonly code?: number }>> {
    const started = await this.#reach.run(this.#script);
    if (!started.ok) return started;
    const { stream, ended, stderr } = started.value;
    const began = await skipTo(stream, AGENT_MAGIC, { ms: STREAM_MS });
    if (began.ok) return ok(stream);
    stream.destroy();
    const { code } = await ended;
    const said = stderr();
    const reason =
      said === '' ? began.failure.reason : shown(said).replace(/^It printed: (rch: )?/, '');
    return {
      ok: false,
      failure: {
        reason: `the agent does not answer: ${reason}`,
        ...(code === undefined ? {} : { code }),
      },
    };
  }

  close(): void {
    this.#reach.close();
  }
}

/**
 * Sees to the agent. The first stream is opened at once, so that whatever keeps the agent from running is
 * told now and not by the first job; a Node that vanished from the worker is replaced by ours.
 */
async function withAgent(
  reach: Reach,
  parts: AgentParts,
  needs: TransportNeeds,
): Promise<Result<AgentConnection>> {
  const connection = new Connection(reach, parts.hash);
  let prepared = await bootstrap(reach, parts, needs);
  if (!prepared.ok) return prepared;
  let first = await connection.attach();
  if (!first.ok && first.failure.code === StartExit.noNode) {
    prepared = await bootstrap(reach, parts, needs, true);
    if (!prepared.ok) return prepared;
    first = await connection.attach();
  }
  if (!first.ok) return { ok: false, failure: first.failure };
  connection.keep(first.value);
  return ok(connection);
}

async function reachWorker(
  worker: WorkerConfig,
  parts: AgentParts,
  needs: TransportNeeds,
): Promise<Result<Reach>> {
  switch (worker.transport) {
    case 'ssh':
      return reachSsh(worker, needs);
    case 'command':
      return ok(new CommandReach((script) => commandArgv(worker.command, script)));
    case 'embedded':
      return reachEmbedded(parts.hash, needs);
  }
}

/** Connects; on failure nothing stays open. */
export async function connect(
  worker: WorkerConfig,
  needs: TransportNeeds,
): Promise<Result<AgentConnection>> {
  const parts = await agentParts(needs.layout);
  if (!parts.ok) return parts;
  const reach = await reachWorker(worker, parts.value, needs);
  if (!reach.ok) return reach;
  if (worker.transport === 'embedded') return ok(new Connection(reach.value, parts.value.hash));
  const aborted = (): void => {
    reach.value.close();
  };
  needs.signal?.addEventListener('abort', aborted);
  const connection = await withAgent(reach.value, parts.value, needs);
  needs.signal?.removeEventListener('abort', aborted);
  if (!connection.ok) reach.value.close();
  return connection;
}
