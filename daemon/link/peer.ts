/** The agent as a sync speaks with it. */
import { fail, ok } from '../../src/base/result.ts';
import type { PushPeer } from '../sync/push.ts';
import type { AgentClient } from './agent-client.ts';

export function peerOf(
  client: AgentClient,
): Pick<PushPeer, 'request' | 'ours' | 'withdraw' | 'sendBlob' | 'sendAhead'> {
  return {
    request: (build, partial) => client.request(build, partial),
    ours: () => client.connected && !client.foreign,
    withdraw: (request) => client.send({ type: 'withdraw', request }),
    sendBlob: (blob) => client.sendBlob(blob),
    sendAhead: (blob) =>
      Promise.resolve(
        client.send(blob) ? ok(undefined) : fail('the connection to the worker was lost'),
      ),
  };
}
