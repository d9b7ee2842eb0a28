/** What a transport is: a way to run a shell line on a worker, and from that, byte streams to the agent there. */
import type { Duplex } from 'node:stream';
import type { Layout } from '../../src/base/layout.ts';
import type { Result } from '../../src/base/result.ts';

/** A connection to one worker's agent. When it is closed, all its streams are. */
export interface AgentConnection {
  /** The hash of the agent that was asked for. While jobs run there under another version's, that one answers. */
  readonly agent: string;
  /** As its reach. */
  readonly striped: boolean;
  /** A new stream to the agent, positioned after AGENT_MAGIC. */
  openStream(): Promise<Result<Duplex>>;
  close(): void;
  /** Resolves with the reason once the connection is gone. */
  readonly closed: Promise<string>;
}

/** How a remote script ended; both undefined: the connection was lost before we heard. */
export type ScriptEnd = {
  readonly code: number | undefined;
  readonly signal: string | undefined;
};

/**
 * A script that runs on the worker: its stdio as one stream, its end, and the last 4 KiB of its stderr so far. `ended`
 * resolves some seconds after the stream was closed here at the latest, whatever the script does.
 */
export type RemoteScript = {
  readonly stream: Duplex;
  readonly ended: Promise<ScriptEnd>;
  readonly stderr: () => string;
};

/** A shell within reach. Each script gets a stream of its own; all share the connection. */
export interface Reach {
  run(script: string): Promise<Result<RemoteScript>>;
  /** Whether each stream has a window of its own, and costs little: on a long way several carry more than one. */
  readonly striped: boolean;
  close(): void;
  readonly closed: Promise<string>;
}

/** Bytes of an upload to the worker; `rate` in bytes per second, averaged from its start. */
export type UploadProgress = {
  readonly part: 'agent' | 'node';
  readonly bytes: number;
  readonly total: number;
  readonly rate: number;
};

export type TransportNeeds = {
  readonly layout: Layout;
  /** Ends the attempt to connect. */
  readonly signal?: AbortSignal;
  readonly progress?: (progress: UploadProgress) => void;
  /** Read by ssh instead of the user's configuration (`ssh -F`). */
  readonly sshConfig?: string;
};

/** Our own file of host keys, filled by `rch workers add`. */
export function ownKnownHosts(layout: Layout): string {
  return `${layout.config}/known_hosts`;
}
