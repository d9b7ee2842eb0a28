/**
 * Whether a request to an agent still moves: it is being written, a part of its answer came, or a content that it is
 * about went either way. What others say or send meanwhile is no sign of that.
 */
import type { AgentMessage } from '../../src/protocol/agent.ts';

const HASH_BYTES = 32;

/** The hashes of the contents that a request, or a part of its answer, asks for. */
function hashesIn(message: AgentMessage): Buffer | undefined {
  switch (message.type) {
    case 'fetch':
    case 'syncNeed':
      return message.hashes;
    case 'fetchPart':
      return message.hash;
    default:
      return undefined;
  }
}

export class RequestLife {
  /** ms of the monotonic clock; undefined while it is being written, which is for the connection to care about. */
  #moved: number | undefined;
  /** Of the contents that it is about, latin1. */
  readonly #hashes = new Set<string>();

  /** A message of the request, or of its answer. */
  says(message: AgentMessage): void {
    const hashes = hashesIn(message);
    for (let at = 0; at < (hashes?.length ?? 0); at += HASH_BYTES)
      this.#hashes.add(hashes?.toString('latin1', at, at + HASH_BYTES) ?? '');
  }

  moved(): void {
    this.#moved = performance.now();
  }

  /** A piece of a content went by. */
  passed(hash: Buffer): void {
    if (this.#moved !== undefined && this.#hashes.has(hash.toString('latin1'))) this.moved();
  }

  /** Whether nothing of it moved for so many ms. */
  stands(ms: number): boolean {
    return this.#moved !== undefined && performance.now() - this.#moved > ms;
  }
}
