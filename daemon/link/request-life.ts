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

function holds(hashes: Buffer, hash: Buffer): boolean {
  let at = hashes.indexOf(hash);
  while (at >= 0 && at % HASH_BYTES !== 0) at = hashes.indexOf(hash, at + 1);
  return at >= 0;
}

export class RequestLife {
  /** ms of the monotonic clock; undefined while it is being written, which is for the connection to care about. */
  #moved: number | undefined;
  readonly #hashes: Buffer[] = [];

  /** A message of the request, or of its answer. */
  says(message: AgentMessage): void {
    const hashes = hashesIn(message);
    // A view into a frame that is soon another's.
    if (hashes !== undefined) this.#hashes.push(Buffer.from(hashes));
  }

  moved(): void {
    this.#moved = performance.now();
  }

  /** A piece of a content went by. */
  passed(hash: Buffer): void {
    if (this.#moved !== undefined && this.#hashes.some((each) => holds(each, hash))) this.moved();
  }

  /** Whether nothing of it moved for so many ms. */
  stands(ms: number): boolean {
    return this.#moved !== undefined && performance.now() - this.#moved > ms;
  }
}
